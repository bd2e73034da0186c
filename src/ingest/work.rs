//! What a worker does with one file: from a path to an embedded image, or to the reason why not.

use std::collections::HashMap;
use std::error::Error;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use super::large::{Large, Turn};
use super::permits::Permits;
use super::pipeline::Job;
use super::read::{OpenedFile, ReadFile};
use super::{IndexOptions, Lacking, Target};
use crate::imaging;
use crate::inference::top_classes;
use crate::objects::{self, FoundObjects};
use crate::record::{ContentHash, FileStamp, Fingerprint, ImageId, ImageRecord, Location};
use crate::store::StoreError;
use crate::thumbs::THUMBNAIL_SIDE_PX;
use crate::vector::Embedding;

/// Memory for the files and the decoded images of all workers together. An
/// image that needs more is worked on beside them, one such at a time.
const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Classes that are kept of each image.
const CLASSES_KEPT: usize = 5;

/// A file that was worked on.
pub(super) struct Done {
    pub(super) location: Location,
    pub(super) path: PathBuf,
    pub(super) stamp: FileStamp,
    pub(super) outcome: Outcome,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(super) enum Outcome {
    /// Content that the store knows, embedding and all.
    Known(ImageId),
    /// Content that is embedded, or will be soon by another worker.
    New(SharedImage),
    /// A file that cannot be read.
    Failed(String),
    /// The file went away after it was found.
    Vanished,
    /// The file was written to while it was read, and the caller asked to leave such files.
    Unsettled,
}

/// An image that the store does not know, made once for all files that hold it.
pub(super) type SharedImage = Arc<OnceLock<Result<NewImage, String>>>;

/// What was found out of an image: all of it, or what the store lacked.
#[derive(Debug)]
pub(super) struct NewImage {
    /// Without classes when the image was not embedded; the store has its record then.
    pub(super) record: ImageRecord,
    pub(super) embedding: Option<Embedding>,
    pub(super) fingerprint: Option<Fingerprint>,
    /// What lies on it, if that was looked for.
    pub(super) objects: Option<FoundObjects>,
}

/// What the workers of one run share.
pub(super) struct Workshop<'a> {
    target: Target<'a>,
    options: &'a IndexOptions,
    memory: Permits,
    /// For images above [`MEMORY_BYTES_MAX`].
    large: Large,
    /// For decoding and embedding: more workers than cores would only push each other out.
    cores: Permits,
    in_flight: Mutex<HashMap<ContentHash, Weak<OnceLock<Result<NewImage, String>>>>>,
}

/// How far a worker came with a job.
pub(super) enum Step {
    Done(Box<Done>),
    /// The image is large and another large one is being worked on: it waits in the workshop.
    PutAside,
}

impl Outcome {
    /// Whether the worker that makes the image has finished.
    pub(super) fn is_ready(&self) -> bool {
        match self {
            Self::New(image) => image.get().is_some(),
            _ => true,
        }
    }
}

impl<'a> Workshop<'a> {
    pub(super) fn new(target: Target<'a>, options: &'a IndexOptions) -> Self {
        Self {
            target,
            options,
            memory: Permits::new(MEMORY_BYTES_MAX),
            large: Large::default(),
            cores: Permits::new(options.threads.max(1) as u64),
            in_flight: Mutex::default(),
        }
    }

    /// Gives the next of the files that were put aside, with the turn for it.
    pub(super) fn next_large(&self) -> Option<(Job, Turn<'_>)> {
        self.large.next()
    }

    /// Reads, decodes and embeds a file.
    ///
    /// `turn` is the one that [`Workshop::next_large`] gave with the job, if it did.
    ///
    /// # Errors
    /// Only those of the store; a bad file is an [`Outcome::Failed`].
    pub(super) fn work<'w>(
        &'w self,
        mut job: Job,
        mut turn: Option<Turn<'w>>,
    ) -> Result<Step, StoreError> {
        if let Some(id) = job.known {
            return Ok(done(job, None, Outcome::Known(id)));
        }
        let opened = match OpenedFile::open(&job.file.path) {
            Ok(opened) => opened,
            Err(error) => return Ok(done(job, None, unreadable(&error))),
        };
        let cost = opened.cost_bytes();
        let fits = cost <= MEMORY_BYTES_MAX;
        let _memory = fits.then(|| self.memory.take(cost));
        if !fits && turn.is_none() {
            let Some(given) = self.large.turn_or_put_aside(job) else {
                return Ok(Step::PutAside);
            };
            (job, turn) = (given.0, Some(given.1));
        }
        let read = match opened.read() {
            Ok(read) => read,
            Err(error) => return Ok(done(job, None, unreadable(&error))),
        };
        let stamp = read.stamp;
        // A large image keeps its turn until it is done.
        let _turn = turn;
        let outcome = match read.changed && self.options.unsettled_for.is_some() {
            true => Outcome::Unsettled,
            false => self.outcome(read)?,
        };
        Ok(done(job, Some(stamp), outcome))
    }

    fn outcome(&self, read: ReadFile) -> Result<Outcome, StoreError> {
        let mut lacking = Lacking { embedding: true, fingerprint: true, objects: true };
        if let Some(id) = self.target.store.image_id(&read.hash)? {
            lacking = self.target.lacks(id)?;
            if lacking.is_none() {
                return Ok(Outcome::Known(id));
            }
        }
        let (image, is_mine) = self.claim(read.hash);
        if is_mine {
            let _core = self.cores.take(1);
            let made = self.make(&read.bytes, read.hash, lacking);
            image.get_or_init(|| made);
        }
        Ok(Outcome::New(image))
    }

    /// The place for an image, and whether it is the caller who has to fill it.
    fn claim(&self, hash: ContentHash) -> (SharedImage, bool) {
        let mut in_flight = lock(&self.in_flight);
        if let Some(image) = in_flight.get(&hash).and_then(Weak::upgrade) {
            return (image, false);
        }
        // What is committed or failed nobody holds any more.
        in_flight.retain(|_, image| image.strong_count() > 0);
        let image = SharedImage::default();
        in_flight.insert(hash, Arc::downgrade(&image));
        (image, true)
    }

    fn make(&self, bytes: &[u8], hash: ContentHash, lacking: Lacking) -> Result<NewImage, String> {
        let side = self.target.encoder.input_side_px();
        let side_min_px = imaging::side_needed_px(side);
        let mut image = imaging::decode_at_least(bytes, &self.options.limits, side_min_px)
            .map_err(|error| reason(&error))?;
        let input = lacking.embedding.then(|| imaging::squash(&image.pixels, side));
        let fingerprint = lacking.fingerprint.then(|| imaging::fingerprint(&image.pixels));
        if self.options.thumbnails {
            let jpeg = imaging::thumbnail_of(&image.pixels, THUMBNAIL_SIDE_PX);
            if let Err(error) = self.target.thumbs.put(&hash, &jpeg) {
                tracing::warn!(%error, "a thumbnail is not kept");
            }
        }
        let mut objects = None;
        if let Some((detector, _)) = self.target.detector.filter(|_| lacking.objects) {
            image = objects::decode(bytes, &self.options.limits, detector, Some(image))
                .map_err(|error| reason(&error))?;
            let found = objects::find(&image, detector, self.target.encoder);
            objects = Some(found.map_err(|error| reason(&error))?);
        }
        drop(image.pixels);
        let mut embedding = None;
        let mut classes = Vec::new();
        if let Some(input) = input {
            let encoded = self.target.encoder.embed_and_classify(&[input]);
            for (found, probabilities) in encoded.map_err(|error| reason(&error))? {
                embedding = Some(found);
                classes = top_classes(&probabilities, CLASSES_KEPT);
            }
        }
        let record = ImageRecord {
            hash,
            width_px: image.width_px,
            height_px: image.height_px,
            size_bytes: bytes.len() as u64,
            format: image.format.name().to_owned(),
            orientation: image.orientation,
            captured_at: image.exif.captured_at.map(|time| time.to_string()),
            camera: camera(image.exif.camera_make, image.exif.camera_model),
            position: image.exif.position,
            classes,
        };
        Ok(NewImage { record, embedding, fingerprint, objects })
    }
}

fn done(job: Job, stamp: Option<FileStamp>, outcome: Outcome) -> Step {
    let stamp = stamp.unwrap_or(job.file.stamp);
    let (location, path) = (job.file.location, job.file.path);
    Step::Done(Box::new(Done { location, path, stamp, outcome }))
}

fn unreadable(error: &std::io::Error) -> Outcome {
    match error.kind() {
        ErrorKind::NotFound => Outcome::Vanished,
        _ => Outcome::Failed(error.to_string()),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // The collections behind these locks are whole between any two calls on them.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins maker and model; many cameras repeat the maker in the model.
fn camera(make: Option<String>, model: Option<String>) -> Option<String> {
    match (make, model) {
        (Some(make), Some(model)) if !model.starts_with(&make) => Some(format!("{make} {model}")),
        (make, model) => model.or(make),
    }
}

/// One sentence with its causes, for the report.
fn reason(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maker_is_not_repeated() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(camera(some("Canon"), some("Canon EOS 5D")), some("Canon EOS 5D"));
        assert_eq!(camera(some("SONY"), some("ILCE-7")), some("SONY ILCE-7"));
        assert_eq!(camera(None, some("X100")), some("X100"));
        assert_eq!(camera(None, None), None);
    }
}
