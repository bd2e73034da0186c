//! A graph file, the checksums of which the fuzzer's build does not compare: what is opened can be
//! searched.
//!
//! The first byte chooses between the bytes as they are and a whole file with some of its bytes changed.

#![no_main]

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use lookalike::index::{
    GraphFile, GraphParameters, Members, VectorIndex, VectorSetBuilder, build_graph, save_graph,
};
use lookalike_fuzz::{file_of, judge_panics};

const OWNER: [u8; 32] = [7; 32];
const DIMENSION: usize = 8;

static WHOLE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut vectors = VectorSetBuilder::new(DIMENSION);
    for number in 0..40u32 {
        let mut row = [1.0f32; DIMENSION];
        for (place, value) in row.iter_mut().enumerate() {
            *value = f32::from(((number * 7 + place as u32 * 13) % 17) as u8) - 8.0;
        }
        let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
        vectors.push(&row.map(|value| value / length)).expect("a unit vector");
    }
    let vectors = Arc::new(vectors.finish());
    let parameters = GraphParameters { links_max: 2, ef_construction: 8, ..Default::default() };
    let graph = build_graph(Arc::clone(&vectors), parameters, &|_| ControlFlow::Continue(()));
    let members = Members::new((0..vectors.len() as u64).map(|node| vec![node]), Vec::new());
    let path = file_of("graph", b"");
    save_graph(&GraphFile::new(graph.expect("a graph"), members), OWNER, &path).expect("a file");
    std::fs::read(path).expect("a file")
});

fuzz_target!(|bytes: &[u8]| {
    judge_panics();
    let Some((kind, bytes)) = bytes.split_first() else { return };
    let file = if kind % 4 == 0 { bytes.to_vec() } else { changed(bytes) };
    let Ok(file) = GraphFile::from_bytes(&file, OWNER) else { return };
    let graph = &file.graph;
    if graph.dimension() <= 1 << 12 {
        let mut query = vec![0.0; graph.dimension()];
        query[0] = 1.0;
        for k in [1, 10, 1000] {
            let _ = graph.search(&query, k, None);
        }
    }
    let _ = file.check_codes();
});

/// The whole file with bytes changed: two for the place and one for the change, again and again.
fn changed(bytes: &[u8]) -> Vec<u8> {
    let mut file = WHOLE.clone();
    for change in bytes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % file.len();
        file[place] ^= change[2];
    }
    file
}
