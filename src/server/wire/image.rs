//! Images as they are shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::database::{Database, ImageRow};
use crate::ingest::{FileState, Reach};
use crate::query::{Hit, MatchedObject};
use crate::record::{BoundingBox, Detection, Location};

/// An image in a list.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct ImageSummary {
    /// Its number.
    #[schema(example = 17, minimum = 1)]
    pub(in crate::server) id: u64,
    /// Where its first file lies: relative to the folder of the database, else absolute.
    #[schema(example = "holiday/IMG_0042.jpg")]
    path: String,
    /// Width in pixels, upright.
    width_px: u32,
    /// Height in pixels, upright.
    height_px: u32,
    /// When it was captured, by the clock of the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "2024-05-06T07:08:09")]
    captured_at: Option<String>,
    /// The label of the user, else that of the classifier.
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<String>,
}

impl ImageSummary {
    /// An image with its first file.
    pub(in crate::server) fn of(row: &ImageRow) -> Self {
        Self::at(row, row.locations.first())
    }

    /// An image with one of its files.
    pub(in crate::server) fn at(row: &ImageRow, location: Option<&Location>) -> Self {
        Self {
            id: row.id.0,
            path: location.map(ToString::to_string).unwrap_or_default(),
            width_px: row.record.width_px,
            height_px: row.record.height_px,
            captured_at: row.record.captured_at.clone(),
            label: row.effective_label().map(str::to_owned),
        }
    }
}

/// All that is known of an image.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct ImageDetail {
    #[serde(flatten)]
    summary: ImageSummary,
    /// BLAKE3 of the bytes of the file, in hexadecimal.
    hash: String,
    /// Length of the file.
    size_bytes: u64,
    /// Format of the file.
    #[schema(example = "JPEG")]
    format: String,
    /// EXIF orientation that was applied, 1 to 8.
    orientation: u8,
    /// Maker and model of the camera.
    #[serde(skip_serializing_if = "Option::is_none")]
    camera: Option<String>,
    /// Where it was captured.
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<Place>,
    /// What the network sees on it, the most probable first.
    classes: Vec<ClassShare>,
    /// The label that the user gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    user_label: Option<String>,
    /// What the trained classifier says.
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<Prediction>,
    /// Its files.
    files: Vec<ImageFile>,
    /// The raw files of the same shot.
    raw_files: Vec<String>,
    /// The objects on it, the surest first; absent when nobody has looked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    objects: Option<Vec<FoundObject>>,
}

/// A place on Earth.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Place {
    /// Degrees north, -90 to 90.
    latitude: f64,
    /// Degrees east, -180 to 180.
    longitude: f64,
}

/// A class with its probability.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct ClassShare {
    name: String,
    /// 0 to 1.
    probability: f32,
}

/// What a classifier says of an image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Prediction {
    label: String,
    /// How probable it is that this is right, 0 to 1.
    confidence: f32,
}

impl Prediction {
    pub(in crate::server) fn of(prediction: &crate::record::Prediction) -> Self {
        Self { label: prediction.label.clone(), confidence: prediction.confidence }
    }
}

/// A file of an image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct ImageFile {
    path: String,
    state: State,
}

/// Whether a file can be opened now.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::server) enum State {
    There,
    /// Its drive is not plugged in.
    Offline,
    Gone,
}

/// An object on an image.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct FoundObject {
    /// Its number on the image, from 1, the surest first.
    #[schema(minimum = 1)]
    number: u16,
    /// What it is.
    #[schema(example = "dog")]
    class: String,
    /// How sure the detector is, 0 to 1.
    score: f32,
    bounds: Bounds,
}

/// A rectangle on the upright image, in pixels from its upper left corner.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Bounds {
    left: f32,
    top: f32,
    width: f32,
    height: f32,
}

impl Bounds {
    fn of(bounds: &BoundingBox) -> Self {
        let (width, height) = (bounds.width_px(), bounds.height_px());
        Self { left: bounds.left_px, top: bounds.top_px, width, height }
    }
}

impl FoundObject {
    pub(in crate::server) fn of(number: u16, object: &Detection, names: &[String]) -> Self {
        let class = names.get(usize::from(object.class.0)).cloned().unwrap_or_default();
        let bounds = Bounds::of(&object.bounds);
        Self { number: number + 1, class, score: object.score, bounds }
    }

    pub(in crate::server) fn matched(object: &MatchedObject, names: &[String]) -> Self {
        Self::of(object.number, &object.detection, names)
    }
}

impl ImageDetail {
    pub(in crate::server) fn of(
        database: &Database,
        row: &ImageRow,
        reach: &Reach,
    ) -> Result<Self, crate::Error> {
        let record = &row.record;
        let names = database.encoder().class_names();
        let class_names = database.object_class_names();
        let classes = record.classes.iter().filter_map(|class| {
            let name = names.get(usize::from(class.class.0))?.clone();
            Some(ClassShare { name, probability: class.probability })
        });
        let file = |location: &Location| ImageFile {
            path: location.to_string(),
            state: match reach.file(&location.to_path(database.home())) {
                FileState::There => State::There,
                FileState::Offline => State::Offline,
                FileState::Gone => State::Gone,
            },
        };
        let objects = database.objects_on(row.id)?.map(|objects| {
            let numbered = objects.iter().zip(0..);
            numbered.map(|(object, number)| FoundObject::of(number, object, &class_names)).collect()
        });
        let raws = database.raw_files(row)?;
        Ok(Self {
            summary: ImageSummary::of(row),
            hash: record.hash.to_string(),
            size_bytes: record.size_bytes,
            format: record.format.clone(),
            orientation: record.orientation,
            camera: record.camera.clone(),
            position: record
                .position
                .map(|place| Place { latitude: place.latitude, longitude: place.longitude }),
            classes: classes.collect(),
            user_label: row.label.clone(),
            prediction: row.prediction.as_ref().map(Prediction::of),
            files: row.locations.iter().map(file).collect(),
            raw_files: raws.iter().map(|raw| database.locate(raw).to_string()).collect(),
            objects,
        })
    }
}

/// An image that resembles a query.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct ScoredImage {
    #[serde(flatten)]
    image: ImageSummary,
    /// Cosine similarity to the query, -1 to 1.
    score: f32,
    /// The object that resembles the query, where objects were searched.
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<FoundObject>,
}

impl ScoredImage {
    pub(in crate::server) fn of(hit: &Hit, row: &ImageRow, class_names: &[String]) -> Self {
        let image = ImageSummary::at(row, hit.locations.first());
        let object = hit.object.as_ref().map(|object| FoundObject::matched(object, class_names));
        Self { image, score: hit.score, object }
    }
}
