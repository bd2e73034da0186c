//! The networks against tensors computed by PyTorch (`fixtures/reference/*/make_golden.py`).

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::path::PathBuf;

use common::seeded;
use lookalike::inference::{Cnn, Compute, Encoder, InstructionSet, Model};
use lookalike::pixels::Pixels;
use lookalike::vector::Embedding;
use safetensors::SafeTensors;

/// What 16-bit weights and another order of summation may cost.
const EMBEDDING_GAP_MAX: f32 = 2e-3;
const PROBABILITY_GAP_MAX: f32 = 2e-3;

/// What another order of summation may cost in parts of the greatest value, with the same 32-bit
/// weights on both sides.
const SEEDED_GAP_MAX: f32 = 1e-4;

fn lite0() -> PathBuf {
    common::reference().join("efficientnet_lite0")
}

fn pixels(name: &str) -> Pixels {
    let bytes = std::fs::read(lite0().join(format!("{name}.png"))).unwrap();
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

/// The greatest gap in parts of the greatest value.
fn relative_gap_max(found: &[f32], expected: &[f32]) -> f32 {
    gap_max(found, expected) / expected.iter().copied().fold(0.0, f32::max)
}

/// Whether the values differ so much from each other that an equal one says something.
fn is_varied(values: &[f32]) -> bool {
    let mean = values.iter().sum::<f32>() / values.len() as f32;
    let deviations = values.iter().map(|value| (value - mean).powi(2)).sum::<f32>();
    (deviations / values.len() as f32).sqrt() > 0.5 * mean
}

fn top5(probabilities: &[f32]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*b].total_cmp(&probabilities[*a]));
    order.truncate(5);
    order
}

#[test]
fn lite0_equals_pytorch_on_the_same_pixels() {
    let bytes = std::fs::read(lite0().join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let mut names: Vec<&str> =
        golden.names().into_iter().filter_map(|name| name.strip_suffix(".embedding")).collect();
    names.sort_unstable();
    assert!(names.len() >= 8, "the reference holds {} inputs", names.len());

    let encoder = Cnn::load(Model::EfficientNetLite0, None, &Compute::default()).unwrap();
    let inputs: Vec<Pixels> = names.iter().map(|name| pixels(name)).collect();
    let (embeddings, classes): (Vec<_>, Vec<_>) =
        encoder.embed_and_classify(&inputs).unwrap().into_iter().unzip();
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

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[test]
fn embeddings_of_8_bit_products_are_near_those_of_floats() {
    let limits = lookalike::imaging::DecodeLimits::default();
    let mut photos: Vec<PathBuf> = ignore::WalkBuilder::new(common::photos())
        .build()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|ending| ending != "md"))
        .collect();
    photos.sort();
    let inputs: Vec<Pixels> = photos
        .iter()
        .step_by(2)
        .filter_map(|path| lookalike::imaging::decode(&std::fs::read(path).unwrap(), &limits).ok())
        .map(|image| lookalike::imaging::squash(&image.pixels, 224))
        .collect();
    assert!(inputs.len() >= 50, "{} photos", inputs.len());
    let floats = Cnn::load(Model::EfficientNetLite0, None, &Compute::default()).unwrap();
    let expected = floats.embed(&inputs).unwrap();
    let found = Cnn::embedded().unwrap().embed(&inputs).unwrap();
    let cosines: Vec<f64> = found
        .iter()
        .zip(&expected)
        .map(|(found, expected)| cosine(found.as_slice(), expected.as_slice()))
        .collect();
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    let least = cosines.iter().copied().fold(1.0, f64::min);
    assert!(mean >= 0.995 && least >= 0.98, "mean {mean:.4}, least {least:.4}");
    assert!(mean < 1.0 - 1e-5, "products of bytes round: {mean}");
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

/// The scalar kernels, where there are others, run Lite0 alone: each other network takes them four
/// seconds a pass and more.
fn instruction_sets(model: Model) -> Vec<InstructionSet> {
    let mut sets = InstructionSet::available();
    if model != Model::EfficientNetLite0 && sets.len() > 1 {
        sets.retain(|set| *set != InstructionSet::Scalar);
    }
    sets
}

fn assert_equals_torch(model: Model) {
    let golden = std::fs::read(seeded::folder().join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&golden).unwrap();
    let features = floats(&golden, &format!("{}.features", model.name()));
    let features = Embedding::normalize(features).unwrap();
    let classes = softmax(&floats(&golden, &format!("{}.logits", model.name())));
    assert!(is_varied(features.as_slice()) && is_varied(&classes), "{}", model.name());

    let (weights, image) = (seeded::weights(model), [seeded::image(model)]);
    for instruction_set in instruction_sets(model) {
        let compute = Compute { instruction_set, ..Compute::default() };
        let encoder = Cnn::load(model, Some(&weights), &compute).unwrap();
        let (embedding, probabilities) = encoder.embed_and_classify(&image).unwrap().remove(0);
        let found = relative_gap_max(embedding.as_slice(), features.as_slice());
        let case = format!("{} on {}", model.name(), instruction_set.name());
        println!("{case}: features {found:.1e}");
        assert!(found <= SEEDED_GAP_MAX, "{case}: features differ by {found}");
        let found = relative_gap_max(&probabilities, &classes);
        println!("{case}: probabilities {found:.1e}");
        assert!(found <= SEEDED_GAP_MAX, "{case}: probabilities differ by {found}");
    }
}

#[test]
fn lite0_with_seeded_weights_equals_torch() {
    assert_equals_torch(Model::EfficientNetLite0);
}

#[test]
fn lite2_with_seeded_weights_equals_torch() {
    assert_equals_torch(Model::EfficientNetLite2);
}

#[test]
fn resnet18_with_seeded_weights_equals_torch() {
    assert_equals_torch(Model::ResNet18);
}

#[test]
fn resnet34_with_seeded_weights_equals_torch() {
    assert_equals_torch(Model::ResNet34);
}

#[test]
fn resnet50_with_seeded_weights_equals_torch() {
    assert_equals_torch(Model::ResNet50);
}
