//! Annotation files of COCO: read to judge a detector, written for other programs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::Truth;
use crate::inference::COCO_CLASSES;
use crate::record::{BoundingBox, ClassId, Detection};

/// An image of an annotation file.
#[derive(Clone, Debug, PartialEq)]
pub struct AnnotatedImage {
    /// Its file, relative to the folder of the images.
    pub file_name: String,
    /// What is marked on it, of the classes that detectors here know.
    pub truth: Vec<Truth>,
    /// The score of each; 1 where the file has none.
    pub scores: Vec<f32>,
}

/// Why bytes are no annotation file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CocoError {
    /// They are no JSON, or something else in it.
    #[error("not an annotation file of COCO")]
    Json(#[from] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
struct File {
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: Vec<Category>,
}

#[derive(Serialize, Deserialize)]
struct Image {
    id: u64,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Serialize, Deserialize)]
struct Annotation {
    #[serde(default)]
    id: u64,
    image_id: u64,
    category_id: u32,
    /// Left, top, width, height.
    bbox: [f64; 4],
    #[serde(default)]
    area: f64,
    #[serde(default)]
    iscrowd: u8,
    #[serde(default = "certain")]
    score: f32,
}

fn certain() -> f32 {
    1.0
}

#[derive(Serialize, Deserialize)]
struct Category {
    id: u32,
    name: String,
}

/// Reads an annotation file (`instances_*.json`): its images in the order of their numbers.
///
/// Categories are recognised by their names. Those that no detector here knows are left out.
///
/// # Errors
/// [`CocoError::Json`].
pub fn read_annotations(bytes: &[u8]) -> Result<Vec<AnnotatedImage>, CocoError> {
    let mut file: File = serde_json::from_slice(bytes)?;
    let class_of = |name: &str| {
        let class = COCO_CLASSES.iter().position(|class| class.name == name)?;
        Some(ClassId(class as u16))
    };
    let classes: HashMap<u32, ClassId> = file
        .categories
        .iter()
        .filter_map(|category| Some((category.id, class_of(&category.name)?)))
        .collect();
    file.images.sort_by_key(|image| image.id);
    let mut marked: HashMap<u64, (Vec<Truth>, Vec<f32>)> = HashMap::new();
    for annotation in &file.annotations {
        let Some(&class) = classes.get(&annotation.category_id) else { continue };
        let [left, top, width, height] = annotation.bbox;
        let [left, top, right, bottom] =
            [left, top, left + width, top + height].map(|edge| edge as f32);
        let (truth, scores) = marked.entry(annotation.image_id).or_default();
        let bounds = BoundingBox::new(left, top, right, bottom);
        truth.push(Truth { class, bounds, is_crowd: annotation.iscrowd != 0 });
        scores.push(annotation.score);
    }
    let images = file.images.into_iter().map(|image| {
        let (truth, scores) = marked.remove(&image.id).unwrap_or_default();
        AnnotatedImage { file_name: image.file_name, truth, scores }
    });
    Ok(images.collect())
}

/// An image whose objects are to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct ExportedImage {
    /// A number of its own.
    pub id: u64,
    /// Its file.
    pub file_name: String,
    /// Width of the upright image.
    pub width_px: u32,
    /// Height of the upright image.
    pub height_px: u32,
    /// What was found on it.
    pub objects: Vec<Detection>,
}

/// Writes an annotation file, with a score for each object.
///
/// # Errors
/// [`CocoError::Json`] when the writer fails.
pub fn write_annotations(images: &[ExportedImage]) -> Result<String, CocoError> {
    let mut annotations = Vec::new();
    for image in images {
        for object in &image.objects {
            let Some(class) = COCO_CLASSES.get(usize::from(object.class.0)) else { continue };
            let edge = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
            let BoundingBox { left_px, top_px, .. } = object.bounds;
            let (width, height) = (edge(object.bounds.width_px()), edge(object.bounds.height_px()));
            annotations.push(Annotation {
                id: annotations.len() as u64 + 1,
                image_id: image.id,
                category_id: class.category,
                bbox: [edge(left_px), edge(top_px), width, height],
                area: width * height,
                iscrowd: 0,
                score: object.score,
            });
        }
    }
    let category = |class: &crate::inference::CocoClass| Category {
        id: class.category,
        name: class.name.to_owned(),
    };
    let image = |image: &ExportedImage| Image {
        id: image.id,
        file_name: image.file_name.clone(),
        width: image.width_px,
        height: image.height_px,
    };
    let file = File {
        images: images.iter().map(image).collect(),
        annotations,
        categories: COCO_CLASSES.iter().map(category).collect(),
    };
    Ok(serde_json::to_string(&file)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let object = |class, left| Detection {
            class: ClassId(class),
            score: 0.5,
            bounds: BoundingBox::new(left, 2.0, left + 10.0, 22.0),
        };
        let image = |id, name: &str, objects| ExportedImage {
            id,
            file_name: name.to_owned(),
            width_px: 100,
            height_px: 50,
            objects,
        };
        let images = [
            image(3, "b.jpg", Vec::new()),
            image(2, "a.jpg", vec![object(16, 1.0), object(0, 5.5)]),
        ];
        let text = write_annotations(&images).unwrap();
        let read = read_annotations(text.as_bytes()).unwrap();
        assert_eq!((read[0].file_name.as_str(), read[1].file_name.as_str()), ("a.jpg", "b.jpg"));
        let expected = images[1].objects.iter();
        for (truth, object) in read[0].truth.iter().zip(expected) {
            assert_eq!((truth.class, truth.bounds), (object.class, object.bounds));
        }
        assert_eq!((read[0].scores.as_slice(), read[1].truth.len()), (&[0.5, 0.5][..], 0));
    }

    #[test]
    fn other_bytes_are_refused() {
        for text in ["", "{}", "[1]", r#"{"images": 3, "annotations": [], "categories": []}"#] {
            assert!(read_annotations(text.as_bytes()).is_err(), "{text}");
        }
    }
}
