//! Many workers on one folder: memory is shared out, and copies cost nothing.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use common::{age, folder_with, run_json};

#[test]
fn large_images_take_turns_and_the_rest_goes_on() {
    let folder = folder_with(&["tools"]);
    for number in 0..3 {
        // 8 bytes for each of 49 million pixels are more than the memory of all workers.
        let image = image::GrayImage::from_pixel(7000, 7000, image::Luma([number]));
        let path = folder.path().join(format!("large {number}.png"));
        image.save(&path).unwrap();
        age(&path);
    }
    let report = run_json(folder.path(), &["index", "--threads", "4"]).remove(0);
    assert_eq!((&report["added"], &report["embedded"]), (&6.into(), &6.into()), "{report}");
    let widths = run_json(folder.path(), &["list"]);
    assert_eq!(widths.iter().filter(|image| image["width_px"] == 7000).count(), 3);
}

#[test]
fn copies_found_in_one_run_are_embedded_once() {
    let folder = tempfile::tempdir().unwrap();
    for photo in ["fish/goldfish.webp", "tools/nail_clipper.webp"] {
        let name = photo.split('/').nth(1).unwrap();
        for copy in 0..20 {
            let target = folder.path().join(format!("{copy} {name}"));
            std::fs::copy(common::photos().join(photo), &target).unwrap();
            age(&target);
        }
    }
    let report = run_json(folder.path(), &["index", "--threads", "4"]).remove(0);
    let counts = ["added", "copied", "embedded"].map(|name| report[name].clone());
    assert_eq!(counts, [2, 38, 2], "{report}");
}
