//! The files of an image, and small pictures of it.

use std::path::PathBuf;

use super::Database;
use crate::error::Error;
use crate::imaging::{self, DecodeLimits};
use crate::query::GivenError;
use crate::record::{ContentHash, ImageId, ImageRecord, LocationState};
use crate::thumbs::THUMBNAIL_SIDE_PX;

impl Database {
    /// The record of an image, read alone.
    ///
    /// # Errors
    /// [`Error::UnknownImage`]; [`Error::Store`].
    pub fn record(&self, id: ImageId) -> Result<ImageRecord, Error> {
        self.store.image(id)?.ok_or(Error::UnknownImage { id })
    }

    /// A file that holds an image: the first that is there and has the length that was indexed.
    ///
    /// # Errors
    /// [`Error::UnknownImage`]; [`Error::NoFile`] when there is none.
    pub fn image_file(&self, id: ImageId) -> Result<PathBuf, Error> {
        let record = self.record(id)?;
        for location in self.store.locations_of(id)? {
            let state = self.store.location(&location)?.map(|record| record.state);
            let path = location.to_path(&self.home);
            let is_same =
                |about: std::fs::Metadata| about.is_file() && about.len() == record.size_bytes;
            if state == Some(LocationState::Present(id)) && path.metadata().is_ok_and(is_same) {
                return Ok(path);
            }
        }
        Err(Error::NoFile { id })
    }

    /// The bytes of an image's file.
    ///
    /// # Errors
    /// As for [`Database::image_file`]; [`Error::File`] when it cannot be read.
    pub fn image_bytes(&self, id: ImageId) -> Result<Vec<u8>, Error> {
        let path = self.image_file(id)?;
        std::fs::read(&path).map_err(|source| Error::File { path, source })
    }

    /// The thumbnail of some content, if one is kept.
    #[must_use]
    pub fn kept_thumbnail(&self, hash: &ContentHash) -> Option<Vec<u8>> {
        self.thumbs.get(hash)
    }

    /// A JPEG of an image, upright, whose longer side has 256 px at most; made now where
    /// [`Database::index`] made none.
    ///
    /// A tenth of a millisecond where there is one, else what decoding costs.
    ///
    /// # Errors
    /// As for [`Database::image_bytes`]; [`Error::Given`] when the file is no image any more.
    pub fn thumbnail(&self, id: ImageId) -> Result<Vec<u8>, Error> {
        let hash = self.record(id)?.hash;
        if let Some(jpeg) = self.thumbs.get(&hash) {
            return Ok(jpeg);
        }
        let jpeg = self.reduced(id, THUMBNAIL_SIDE_PX, &DecodeLimits::default())?;
        if let Err(error) = self.thumbs.put(&hash, &jpeg) {
            tracing::warn!(%error, "a thumbnail is not kept");
        }
        Ok(jpeg)
    }

    /// A JPEG of an image, upright, whose longer side has `side_px` at most.
    ///
    /// # Errors
    /// As for [`Database::thumbnail`].
    pub fn reduced(
        &self,
        id: ImageId,
        side_px: u32,
        limits: &DecodeLimits,
    ) -> Result<Vec<u8>, Error> {
        let bytes = self.image_bytes(id)?;
        let jpeg = imaging::thumbnail(&bytes, side_px, limits);
        Ok(jpeg.map_err(GivenError::from)?)
    }
}
