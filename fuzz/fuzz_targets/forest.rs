//! A stored forest: what passes its reader votes on every row without a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lookalike::learn::Forest;
use lookalike_fuzz::judge_panics;
use ndarray::Array2;

/// Wider rows cost memory and find nothing more.
const DIMENSION_MAX: usize = 4096;

fuzz_target!(|bytes: &[u8]| {
    judge_panics();
    let Ok(forest) = postcard::from_bytes::<Forest>(bytes) else { return };
    forest.validate().expect("what was read is valid");
    if forest.dimension() <= DIMENSION_MAX {
        for value in [0.0, 1.0, -1.0] {
            let row = Array2::from_elem((1, forest.dimension()), value);
            let said = forest.predict(row.view()).expect("a row of its dimension");
            assert!(said[0].class < forest.classes());
        }
    }
});
