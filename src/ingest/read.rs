//! Reads one file: from a path to pixels for the network, or to the reason why not.

use std::error::Error;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::scan::{FoundFile, stamp_of};
use super::{IndexOptions, Target};
use crate::imaging::{self, ImagingError};
use crate::pixels::Pixels;
use crate::record::{ContentHash, FileStamp, ImageId, ImageRecord, Location};
use crate::store::StoreError;

/// Files above this length are not read: no format that we decode needs it.
const FILE_BYTES_MAX: u64 = 2 << 30;

/// Images above this take turns, so that a folder of panoramas does not decode
/// one of them on every core at the same time.
const LARGE_PIXELS: u64 = 40_000_000;

/// A file written this shortly before it was read may be written again within
/// the same tick of the file system's clock, and would then look unchanged.
const SETTLED: Duration = Duration::from_millis(20);

/// A file that was read.
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
    /// Content to be embedded.
    New(Box<NewImage>),
    /// A file that cannot be read.
    Failed(String),
    /// The file went away after it was found.
    Vanished,
}

/// An image on its way to the network.
#[derive(Debug)]
pub(super) struct NewImage {
    /// Complete but for the classes.
    pub(super) record: ImageRecord,
    /// The whole image at the network's size, for the embedding.
    pub(super) whole: Pixels,
    /// Its centre at the network's size, for the classes.
    pub(super) crop: Pixels,
}

/// Reads files for one run.
pub(super) struct Reader<'a> {
    target: Target<'a>,
    options: &'a IndexOptions,
    large: Mutex<()>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(target: Target<'a>, options: &'a IndexOptions) -> Self {
        Self { target, options, large: Mutex::new(()) }
    }

    /// Reads a file and gives its stamp at the time of reading.
    ///
    /// # Errors
    /// Only those of the store; a bad file is an [`Outcome::Failed`].
    pub(super) fn read(&self, file: &FoundFile) -> Result<(FileStamp, Outcome), StoreError> {
        let (stamp, bytes) = match read_settled(&file.path) {
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok((file.stamp, Outcome::Vanished));
            }
            Err(error) => return Ok((file.stamp, Outcome::Failed(error.to_string()))),
        };
        let hash = ContentHash::of(&bytes);
        if let Some(id) = self.target.store.image_id(&hash)?
            && self.target.store.has_embedding(self.target.space, id)?
        {
            return Ok((stamp, Outcome::Known(id)));
        }
        Ok((
            stamp,
            match self.decode(&bytes, hash) {
                Ok(image) => Outcome::New(Box::new(image)),
                Err(error) => Outcome::Failed(reason(&error)),
            },
        ))
    }

    fn decode(&self, bytes: &[u8], hash: ContentHash) -> Result<NewImage, ImagingError> {
        let header = imaging::probe(bytes)?;
        let pixels = u64::from(header.width_px) * u64::from(header.height_px);
        let _turn = (pixels > LARGE_PIXELS)
            .then(|| self.large.lock().unwrap_or_else(PoisonError::into_inner));
        let side = self.target.encoder.input_side_px();
        let side_min_px = imaging::side_needed_px(side);
        let image = imaging::decode_at_least(bytes, &self.options.limits, side_min_px)?;
        Ok(NewImage {
            whole: imaging::squash(&image.pixels, side),
            crop: imaging::centre_crop(&image.pixels, side),
            record: ImageRecord {
                hash,
                width_px: image.width_px,
                height_px: image.height_px,
                size_bytes: bytes.len() as u64,
                format: image.format.name().to_owned(),
                orientation: image.orientation,
                captured_at: image.exif.captured_at.map(|time| time.to_string()),
                camera: camera(image.exif.camera_make, image.exif.camera_model),
                classes: Vec::new(),
            },
        })
    }
}

/// Joins maker and model; many cameras repeat the maker in the model.
fn camera(make: Option<String>, model: Option<String>) -> Option<String> {
    match (make, model) {
        (Some(make), Some(model)) if !model.starts_with(&make) => Some(format!("{make} {model}")),
        (make, model) => model.or(make),
    }
}

/// One sentence with its causes, for the report.
pub(super) fn reason(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

/// Reads a whole file with a stamp that will tell whether it changes later.
fn read_settled(path: &Path) -> std::io::Result<(FileStamp, Vec<u8>)> {
    let before = std::fs::metadata(path)?;
    if before.len() > FILE_BYTES_MAX {
        let size_mb = before.len() / 1_000_000;
        return Err(std::io::Error::other(format!(
            "the file of {size_mb} MB is too large to read"
        )));
    }
    let bytes = std::fs::read(path)?;
    let mut stamp = stamp_of(&before);
    let age = before.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
    let settled = age.is_some_and(|age| age > SETTLED);
    if !settled || stamp_of(&std::fs::metadata(path)?) != stamp {
        // Never equal to a real stamp: the next run reads the file again.
        stamp.modified_ns = 0;
    }
    Ok((stamp, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_written_just_now_gets_a_stamp_that_is_not_trusted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(&path, b"abc").unwrap();
        assert_eq!(read_settled(&path).unwrap().0.modified_ns, 0);
        let file = std::fs::File::open(&path).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(1)).unwrap();
        let (stamp, bytes) = read_settled(&path).unwrap();
        assert_ne!(stamp.modified_ns, 0);
        assert_eq!((stamp.size_bytes, bytes.as_slice()), (3, &b"abc"[..]));
    }

    #[test]
    fn the_maker_is_not_repeated() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(camera(some("Canon"), some("Canon EOS 5D")), some("Canon EOS 5D"));
        assert_eq!(camera(some("SONY"), some("ILCE-7")), some("SONY ILCE-7"));
        assert_eq!(camera(None, some("X100")), some("X100"));
        assert_eq!(camera(None, None), None);
    }
}
