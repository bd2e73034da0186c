//! Embeddings of several networks side by side: how full each is, which serves, which go.

use std::path::{Path, PathBuf};

use super::Database;
use crate::error::Error;
use crate::objects;
use crate::record::{ImageId, Space, SpaceId};
use crate::store::{self, SpaceStats};

impl Database {
    /// Fills the space of this encoder beside one that serves: of images that are known already
    /// [`Database::index`] adds the embedding and leaves the rest as it is.
    #[must_use]
    pub fn beside(mut self) -> Self {
        self.beside = true;
        self
    }

    /// Makes this encoder's space the one that serves.
    ///
    /// What opens the database asks [`crate::store::serving_network`] for it.
    ///
    /// # Errors
    /// [`Error::NotFilled`] while there are images and none of them has an embedding in it;
    /// [`Error::Store`], and then nothing has changed.
    pub fn serve(&self) -> Result<(), Error> {
        if self.store.manifest().counts.images > 0
            && self.store.embedded_images(self.space).next().is_none()
        {
            return Err(Error::NotFilled { model: self.encoder.space().model.clone() });
        }
        Ok(self.store.set_serving(Some(self.encoder.space()))?)
    }

    /// Takes the choice of [`Database::serve`] back: the network in the program serves.
    ///
    /// # Errors
    /// [`Error::Store`], and then nothing has changed.
    pub fn serve_default(&self) -> Result<(), Error> {
        Ok(self.store.set_serving(None)?)
    }

    /// Notes where the weights of this encoder were read from, so that it can be loaded again.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn remember_weights(&self, path: &Path) -> Result<(), Error> {
        Ok(self.store.set_weights(self.encoder.space(), path)?)
    }

    /// The spaces of whole images, the oldest first, with how full they are.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn spaces(&self) -> Result<Vec<SpaceStats>, Error> {
        Ok(self.store.space_stats()?)
    }

    /// Removes the embeddings of a network, with those of objects and the graph, and gives the
    /// number of records. They come back with the next [`Database::index`] by that network.
    ///
    /// # Errors
    /// [`Error::Serves`] for this encoder's own space and for the one that was chosen to serve;
    /// [`Error::Store`].
    pub fn remove_space(&self, space: &Space) -> Result<u64, Error> {
        let known = store::networks(self.directory())?;
        let is_chosen = known.iter().any(|network| network.serves && network.space == *space);
        if is_chosen || space == self.encoder.space() {
            return Err(Error::Serves { model: space.model.clone() });
        }
        let (own, others): (Vec<_>, Vec<_>) =
            self.store.spaces()?.into_iter().partition(|(_, other)| other == space);
        let objects = others.into_iter().filter(|(_, other)| objects::is_space_of(other, space));
        let mut removed = 0;
        // The network's own comes last: by it a removal that was killed is found again.
        for (id, space) in objects.chain(own) {
            let folder = self.graph_folder(id);
            match std::fs::remove_dir_all(&folder) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(Error::File { path: folder, source: error });
                }
                _ => {}
            }
            removed += self.store.remove_space(id, &space)?;
        }
        Ok(removed)
    }

    /// Whether the database has embeddings, but none of this encoder's space: they are of another
    /// network or of another precision, and the next [`Database::index`] adds those of this one.
    ///
    /// # Errors
    /// [`Error::Store`] when a record cannot be read.
    pub fn is_embedded_elsewhere(&self) -> Result<bool, Error> {
        if self.store.embeddings(self.space).next().transpose()?.is_some() {
            return Ok(false);
        }
        for (space, _) in self.store.spaces()? {
            if self.store.embeddings(space).next().transpose()?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The folder of what is derived from a space.
    pub(super) fn graph_folder(&self, id: SpaceId) -> PathBuf {
        self.directory().join("index").join(id.0.to_string())
    }

    /// Why there is no embedding of an image.
    pub(super) fn no_embedding(&self, id: ImageId) -> Error {
        match self.store.image(id) {
            Ok(Some(_)) => Error::NotEmbedded { id, model: self.encoder.space().model.clone() },
            Ok(None) => Error::UnknownImage { id },
            Err(error) => error.into(),
        }
    }
}
