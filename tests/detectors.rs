//! Detectors against what onnxruntime gives (`fixtures/reference/detection/make_golden.py`) and,
//! with seeded weights, torch (`yolox` and `faster_rcnn` beside it); against files that are no
//! weights.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{generator, seeded};
use lookalike::imaging::{DecodeLimits, decode, fit};
use lookalike::inference::{
    COCO_CLASSES, CnnDetector, Compute, Detector, DetectorModel, InstructionSet, Suppression,
};
use lookalike::pixels::{Fitted, Fitting, Pixels};
use lookalike::record::{BoundingBox, Detection};
use safetensors::SafeTensors;
use serde_json::Value;

/// What is promised: pixels of the image, and score.
const GAPS_MAX: (f64, f64) = (1.0, 0.01);

/// Decoders of JPEG differ by a few levels, which the detectors see.
const JPEG_GAPS_MAX: (f64, f64) = (2.0, 0.02);

fn golden(model: &str) -> Vec<(String, Vec<Vec<f64>>)> {
    let text = std::fs::read_to_string(common::reference().join("detection/golden.json")).unwrap();
    let golden: Value = serde_json::from_str(&text).unwrap();
    let photos = golden[model].as_object().unwrap();
    let read = |found: &Value| serde_json::from_value(found.clone()).unwrap();
    photos.iter().map(|(photo, found)| (photo.clone(), read(found))).collect()
}

fn detect(detector: &dyn Detector, photo: &Path) -> Vec<Detection> {
    let bytes = std::fs::read(photo).unwrap();
    let image = decode(&bytes, &DecodeLimits::default()).unwrap();
    let size = (image.width_px, image.height_px);
    let input = fit(&image.pixels, size, detector.input_side_px(), detector.fitting());
    detector.detect(&input, &detector.rules()).unwrap().objects
}

fn numbers(found: &Detection) -> [f64; 4] {
    let bounds = found.bounds;
    [bounds.left_px, bounds.top_px, bounds.right_px, bounds.bottom_px].map(f64::from)
}

/// Compares each object with the one of the reference; those of nearly equal score may stand in
/// another order.
fn assert_equals_reference(detector: &dyn Detector, model: &str, objects_min: usize) {
    let mut objects = 0;
    for (photo, expected) in golden(model) {
        let found = detect(detector, &common::photos().join(&photo));
        let (gap_max_px, score_gap_max) =
            if photo.ends_with(".jpg") { JPEG_GAPS_MAX } else { GAPS_MAX };
        let name = |object: &Detection| detector.class_names()[usize::from(object.class.0)].clone();
        let shown: Vec<_> = found.iter().map(|object| (name(object), object.score)).collect();
        assert_eq!(found.len(), expected.len(), "{photo}: {shown:?}, expected {expected:?}");
        for row in &expected {
            let near = |object: &&Detection| {
                let edges = numbers(object).into_iter().zip(&row[2..]);
                f64::from(object.class.0) == row[0]
                    && (f64::from(object.score) - row[1]).abs() <= score_gap_max
                    && edges.into_iter().all(|(found, edge)| (found - edge).abs() <= gap_max_px)
            };
            assert!(found.iter().any(|object| near(&object)), "{photo}: {row:?} not in {found:?}");
        }
        objects += found.len();
    }
    assert!(objects >= objects_min, "{objects} objects on all photos");
}

#[test]
fn nanodet_finds_what_onnxruntime_finds_with_the_same_weights() {
    let detector = CnnDetector::embedded_as(&Compute::default()).unwrap();
    assert_equals_reference(&detector, "nanodet-g", 10);
}

/// YOLOX's weights are not part of the repository.
fn yolox_nano() -> Option<Vec<u8>> {
    std::fs::read(std::env::var_os("LOOKALIKE_YOLOX_NANO")?).ok()
}

#[test]
fn yolox_nano_finds_what_onnxruntime_finds_with_the_same_file() {
    let Some(file) = yolox_nano() else {
        eprintln!("left out: LOOKALIKE_YOLOX_NANO names no ONNX file");
        return;
    };
    let detector = CnnDetector::load(&file, &Compute::default()).unwrap();
    assert_equals_reference(&detector, "yolox-nano", 15);
}

/// The weights that the reference of a folder was computed with.
fn seeded_weights(folder: &str, network: &str) -> Vec<u8> {
    let ranges = common::reference().join(folder).join("tensors.txt");
    generator::weights(&std::fs::read_to_string(ranges).unwrap(), network)
}

/// The rows of a tensor of the reference of a folder.
fn golden_rows(folder: &str, name: &str) -> Vec<Vec<f32>> {
    let bytes = std::fs::read(common::reference().join(folder).join("golden.safetensors")).unwrap();
    let golden = SafeTensors::deserialize(&bytes).unwrap();
    let tensor = golden.tensor(name).unwrap();
    let fours = tensor.data().chunks_exact(4);
    let values: Vec<f32> = fours.map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
    values.chunks_exact(tensor.shape()[1]).map(<[f32]>::to_vec).collect()
}

/// Compares what single cells propose with the authors' own network under the same weights.
fn assert_cells_equal_torch(model: DetectorModel) {
    let name = model.name();
    let weights = seeded_weights("yolox", name);
    let detector = CnnDetector::load(&weights, &Compute::default()).unwrap();
    assert_eq!(detector.model(), model);
    let side = detector.input_side_px();
    let input = Fitted {
        pixels: seeded::image_of(name, side),
        width_px: side,
        height_px: side,
        scale_across: 1.0,
        scale_down: 1.0,
    };
    let all = Suppression { score_min: 0.0, iou_max: 1.0, class_wise: true, count_max: 10_000 };
    let found = detector.detect(&input, &all).unwrap().objects;
    let cells = golden_rows("yolox", name);
    assert!(cells.len() >= 290, "{} cells", cells.len());
    let classes: BTreeSet<u32> = cells.iter().map(|cell| cell[0] as u32).collect();
    assert!(classes.len() >= 2, "{classes:?}");
    let proper = cells.iter().filter(|cell| cell[2] < cell[4] && cell[3] < cell[5]);
    for cell in proper {
        let near = |object: &&Detection| {
            let edges = numbers(object).into_iter().zip(&cell[2..]);
            f32::from(object.class.0) == cell[0]
                && (object.score - cell[1]).abs() <= 1e-4
                && edges.into_iter().all(|(found, edge)| (found - f64::from(*edge)).abs() <= 0.02)
        };
        assert!(found.iter().any(|object| near(&object)), "{name}: {cell:?} is not found");
    }
}

#[test]
fn yolox_nano_with_seeded_weights_equals_the_authors_network() {
    assert_cells_equal_torch(DetectorModel::YoloxNano);
}

#[test]
fn yolox_tiny_with_seeded_weights_equals_the_authors_network() {
    assert_cells_equal_torch(DetectorModel::YoloxTiny);
}

#[test]
fn yolox_s_with_seeded_weights_equals_the_authors_network() {
    assert_cells_equal_torch(DetectorModel::YoloxS);
}

#[test]
fn an_image_enters_faster_rcnn_as_in_torchvision() {
    let photo = std::fs::read(common::photos().join("animals/chelsea_cat.png")).unwrap();
    let photo = decode(&photo, &DecodeLimits::default()).unwrap().pixels;
    for (width, height) in [(160, 128), (90, 300), (451, 171)] {
        let rows = photo.rgb().chunks_exact(photo.width_px() as usize * 3).take(height);
        let part: Vec<u8> = rows.flat_map(|row| &row[..width * 3]).copied().collect();
        let size = (width as u32, height as u32);
        let part = Pixels::from_rgb(size.0, size.1, part).unwrap();
        let color = [124, 116, 104];
        let input = fit(&part, size, 1344, Fitting::Framed { short_px: 800, long_px: 1333, color });
        let golden = golden_rows("faster_rcnn", &format!("framed.{width}x{height}"));
        let (across, down) = (golden[0][0] as usize, golden[0][1] as usize);
        assert_eq!(input.scale_across, width as f32 / across as f32);
        assert_eq!(input.scale_down, height as f32 / down as f32);
        for (at, expected) in golden[1..].iter().enumerate() {
            let (y, x) = (at * 7919 % down, at * 104_729 % across);
            let found = &input.pixels.rgb()[(y * 1344 + x) * 3..][..3];
            for (found, expected) in found.iter().zip(expected) {
                // Each of the two passes rounds to whole levels.
                let gap = (f32::from(*found) - expected).abs();
                assert!(gap <= 1.01, "{width} x {height}, {x} {y}: {found} of {expected}");
            }
        }
        let beside = &input.pixels.rgb()[(1343 * 1344 + 1343) * 3..];
        assert_eq!(beside, [124, 116, 104]);
    }
}

#[test]
fn faster_rcnn_is_known_by_its_file_and_finds_what_torchvision_finds() {
    let weights = seeded_weights("faster_rcnn", "fasterrcnn-resnet50-fpn-v2");
    let detector = CnnDetector::load(&weights, &Compute::default()).unwrap();
    assert_eq!(detector.model(), DetectorModel::FasterRcnnResNet50FpnV2);
    assert_eq!(detector.input_side_px(), 1344);
    let found = detect(&detector, &common::photos().join("animals/chelsea_cat.png"));
    assert_eq!(found.len(), 100);
    let expected = golden_rows("faster_rcnn", "whole");
    // Levels are whole numbers here, and beside the image lies the mean in whole levels.
    let is_found = |row: &&Vec<f32>| {
        found.iter().any(|object| {
            let bounds = BoundingBox::new(row[2], row[3], row[4], row[5]);
            COCO_CLASSES[usize::from(object.class.0)].category == row[0] as u32
                && (object.score - row[1]).abs() <= 0.01
                && object.bounds.iou(&bounds) >= 0.8
        })
    };
    let alike = expected.iter().filter(is_found).count();
    println!("{alike} of {} objects of the reference", expected.len());
    assert!(alike * 100 >= expected.len() * 80, "{alike} of {}", expected.len());
}

#[test]
fn detections_do_not_depend_on_the_instruction_set() {
    let photo = common::photos().join("people/typist.webp");
    let weights = std::fs::read(weights()).unwrap();
    let found = InstructionSet::available().into_iter().map(|set| {
        let detector =
            CnnDetector::load(&weights, &Compute { instruction_set: set, ..Compute::default() })
                .unwrap();
        detect(&detector, &photo)
    });
    let found: Vec<Vec<Detection>> = found.collect();
    assert_eq!(found[0].len(), 2);
    for other in &found[1..] {
        assert_eq!(other.len(), found[0].len());
        for (one, other) in found[0].iter().zip(other) {
            assert_eq!(one.class, other.class);
            assert!((one.score - other.score).abs() < 1e-4, "{one:?} {other:?}");
            assert!(one.bounds.iou(&other.bounds) > 0.999, "{one:?} {other:?}");
        }
    }
}

#[test]
fn objects_of_8_bit_products_are_nearly_those_of_floats() {
    let floats = CnnDetector::embedded_as(&Compute::default()).unwrap();
    let bytes = CnnDetector::embedded().unwrap();
    assert_ne!(floats.identity(), bytes.identity());
    let walk = ignore::WalkBuilder::new(common::photos()).sort_by_file_path(Path::cmp).build();
    let photos: Vec<PathBuf> = walk
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|ending| ending != "md"))
        .step_by(3)
        .collect();
    let (mut count, mut same, mut gap) = (0, 0, 0.0);
    for photo in photos {
        let (expected, found) = (detect(&floats, &photo), detect(&bytes, &photo));
        for one in &expected {
            // Near the limit of the score either may leave an object out.
            if one.score < floats.rules().score_min + 0.05 {
                continue;
            }
            let alike = |other: &&Detection| {
                other.class == one.class && other.bounds.iou(&one.bounds) > 0.8
            };
            count += 1;
            if let Some(other) = found.iter().find(alike) {
                same += 1;
                gap += (other.score - one.score).abs();
            }
        }
    }
    println!("{same} of {count} objects, scores {} apart", gap / same as f32);
    assert!(count >= 20 && same * 100 >= count * 90, "{same} of {count}");
    assert!(gap > 0.0 && gap / (same as f32) < 0.04, "{gap} over {same} objects");
}

#[test]
fn files_that_are_no_weights_of_a_detector_are_refused_with_a_sentence() {
    let refused = |bytes: &[u8]| {
        let error = CnnDetector::load(bytes, &Compute::default()).err().unwrap();
        let text = error.to_string();
        assert!(!text.is_empty() && !text.ends_with('.') && text.is_ascii(), "{text}");
        text
    };
    let good = std::fs::read(weights()).unwrap();
    for length in [0, 1, 7, 8, 100, good.len() / 2, good.len() - 1] {
        refused(&good[..length]);
    }
    let encoder = common::photos().join("../../src/inference/weights");
    let other = std::fs::read(encoder.join("efficientnet-lite0-f16.safetensors")).unwrap();
    assert!(refused(&other).contains("PartitionedCall"));
    // A version and a graph that says it is longer than the file.
    assert!(refused(&[0x08, 0x08, 0x3a, 0xff, 0xff, 0xff, 0xff, 0x0f]).contains("ONNX"));
    // A graph without a node.
    assert!(refused(&[0x08, 0x08, 0x3a, 0x00]).contains("no detector"));
}

#[test]
fn damaged_onnx_files_are_refused_or_read_without_a_panic() {
    let Some(mut file) = yolox_nano() else {
        eprintln!("left out: LOOKALIKE_YOLOX_NANO names no ONNX file");
        return;
    };
    let compute = Compute::default();
    for parts in 0..40 {
        assert!(CnnDetector::load(&file[..file.len() * parts / 40], &compute).is_err(), "{parts}");
    }
    // The names and shapes of the tensors and nodes lie in the first bytes and between weights.
    let mut state = 9u64;
    for _ in 0..60 {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let at = (state >> 33) as usize % 60_000;
        file[at] ^= 1 << (state % 8);
        let _ = CnnDetector::load(&file, &compute);
    }
}

fn weights() -> PathBuf {
    let name = "src/inference/weights/nanodet-g-f16.safetensors";
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}
