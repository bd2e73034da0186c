//! The network against tensors computed by PyTorch (`fixtures/reference/*/make_golden.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::path::{Path, PathBuf};

use lookalike::inference::{Cnn, Encoder};
use lookalike::pixels::Pixels;
use safetensors::SafeTensors;

/// What 16-bit weights and another order of summation may cost.
const EMBEDDING_GAP_MAX: f32 = 2e-3;
const PROBABILITY_GAP_MAX: f32 = 2e-3;

fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/reference/efficientnet_lite0")
}

fn pixels(name: &str) -> Pixels {
    let bytes = std::fs::read(reference().join(format!("{name}.png"))).unwrap();
    let limits = lookalike::imaging::DecodeLimits::default();
    lookalike::imaging::decode(&bytes, &limits).unwrap().pixels
}

fn floats(golden: &SafeTensors, name: &str) -> Vec<f32> {
    let tensor = golden.tensor(name).unwrap();
    tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let exps: Vec<f64> = logits.iter().map(|x| f64::from(*x).exp()).collect();
    let total: f64 = exps.iter().sum();
    exps.iter().map(|x| (x / total) as f32).collect()
}

fn gap_max(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn top5(probabilities: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    order.truncate(5);
    order
}

#[test]
fn lite0_equals_pytorch_on_the_same_pixels() {
    let bytes = std::fs::read(reference().join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<&str> =
        golden.names().into_iter().filter_map(|name| name.strip_suffix(".embedding")).collect();
    names.sort_unstable();
    assert!(names.len() >= 8, "the reference holds {} inputs", names.len());

    let encoder = Cnn::embedded().unwrap();
    let inputs: Vec<Pixels> = names.iter().map(|name| pixels(name)).collect();
    let embeddings = encoder.embed(&inputs).unwrap();
    let classes = encoder.classify(&inputs).unwrap();
    for (index, name) in names.iter().enumerate() {
        let expected = floats(&golden, &format!("{name}.embedding"));
        let gap = gap_max(embeddings[index].as_slice(), &expected);
        assert!(gap <= EMBEDDING_GAP_MAX, "{name}: embeddings differ by {gap}");
        let expected = softmax(&floats(&golden, &format!("{name}.logits")));
        let gap = gap_max(&classes[index], &expected);
        assert!(gap <= PROBABILITY_GAP_MAX, "{name}: probabilities differ by {gap}");
        assert_eq!(top5(&classes[index]), top5(&expected), "{name}");
    }
}

#[test]
fn an_embedding_does_not_depend_on_the_batch_around_it() {
    let encoder = Cnn::embedded().unwrap();
    let names = ["goldfish_whole", "moose_whole", "bekes_dam_whole"];
    let inputs: Vec<Pixels> = names.iter().map(|name| pixels(name)).collect();
    let together = encoder.embed(&inputs).unwrap();
    for (input, expected) in inputs.iter().zip(&together) {
        let alone = encoder.embed(std::slice::from_ref(input)).unwrap();
        assert_eq!(alone[0].as_slice(), expected.as_slice());
    }
}
