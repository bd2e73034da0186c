//! The public facade: one database directory, opened by one process.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;
use crate::index::ExactIndex;
use crate::inference::{Detector, Encoder};
use crate::ingest::{self, Control, Failure, IndexOptions, IngestReport, Target};
use crate::query::{self, Corpus, Filter, Objects, Rows};
use crate::record::{ContentHash, ImageId, Location, LocationState, SpaceId};
use crate::store::Store;
use crate::thumbs::Thumbnails;
use crate::vector::Embedding;

mod clusters;
mod derived;
mod discard;
mod duplicates;
mod evaluation;
mod files;
mod garbage;
mod graph;
mod labels;
mod map;
mod objects;
mod oddities;
mod roots;
mod search;
mod spaces;
mod stats;
mod verify;

pub use duplicates::{DuplicateSearch, Leak};
pub use garbage::Garbage;
use graph::GraphState;
pub use graph::{GRAPH_FROM, GraphPolicy, GraphReport};
pub use roots::Root;
pub use stats::Stats;
pub use verify::VerifyReport;

/// An image database: a directory with what is known of the images of some folders.
///
/// One process at a time has it open; methods take `&self` and may be called
/// from several threads.
///
/// # Examples
/// ```
/// use std::sync::Arc;
/// use lookalike::inference::Cnn;
/// use lookalike::{Control, Database, IndexOptions, Search};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let folder = tempfile::tempdir()?;
/// # let photos = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/photos/tools");
/// # for photo in std::fs::read_dir(photos)? {
/// #     let photo = photo?;
/// #     std::fs::copy(photo.path(), folder.path().join(photo.file_name()))?;
/// # }
/// let encoder = Arc::new(Cnn::embedded()?);
/// let database = Database::create(&folder.path().join(".lookalike"), encoder)?;
/// let folders = [folder.path().to_owned()];
/// let report = database.index(&folders, &IndexOptions::default(), Control::default())?;
/// assert!(report.failed.is_empty());
///
/// let query = database.images(&Default::default())?[0].clone();
/// let hits = database.search_image(query.id, &Search::default())?;
/// assert_eq!(hits.len() as u64, report.added - 1);
/// assert!(hits[0].score >= hits[1].score);
/// # Ok(())
/// # }
/// ```
pub struct Database {
    store: Store,
    home: PathBuf,
    encoder: Arc<dyn Encoder>,
    detector: Option<Arc<dyn Detector>>,
    space: SpaceId,
    thumbs: Thumbnails,
    beside: bool,
    /// What graphs are built for, when that was said.
    recall_per_mille: Option<usize>,
    loaded_objects: Mutex<Option<Arc<Objects>>>,
    loaded: Mutex<Option<Arc<Loaded>>>,
    loaded_rows: Mutex<Option<Arc<Rows>>>,
    graph: Mutex<Option<GraphState>>,
}

/// The images in memory, and the scan of their vectors. Dropped when the store changes.
struct Loaded {
    corpus: Corpus,
    exact: ExactIndex,
}

/// An image of the database as it is listed.
pub type ImageRow = query::Row;

impl Database {
    /// Opens the database in a directory, making it if there is none.
    ///
    /// # Errors
    /// [`Error::Store`] as for [`Store::create`].
    pub fn create(directory: &Path, encoder: Arc<dyn Encoder>) -> Result<Self, Error> {
        Self::over(Store::create(directory)?, encoder)
    }

    /// Opens the database in a directory.
    ///
    /// # Errors
    /// [`Error::Store`] as for [`Store::open`].
    pub fn open(directory: &Path, encoder: Arc<dyn Encoder>) -> Result<Self, Error> {
        Self::over(Store::open(directory)?, encoder)
    }

    fn over(store: Store, encoder: Arc<dyn Encoder>) -> Result<Self, Error> {
        let known = store.spaces()?.into_iter().find(|(_, space)| space == encoder.space());
        let space = match known {
            Some((id, _)) => id,
            None => store.write(|writer| writer.add_space(encoder.space()))?,
        };
        let directory = store.directory();
        let home = directory
            .canonicalize()
            .map_err(|source| Error::File { path: directory.to_owned(), source })?
            .parent()
            .map_or_else(|| directory.to_owned(), Path::to_owned);
        let thumbs = Thumbnails::new(directory.join("thumbs"));
        let database = Self {
            store,
            thumbs,
            home,
            encoder,
            detector: None,
            space,
            beside: false,
            recall_per_mille: None,
            loaded: Mutex::new(None),
            loaded_rows: Mutex::new(None),
            graph: Mutex::new(None),
            loaded_objects: Mutex::new(None),
        };
        Ok(database)
    }

    /// The database directory.
    pub fn directory(&self) -> &Path {
        self.store.directory()
    }

    /// The folder that holds the database directory. Paths below it are stored
    /// relative to it, so that it can be moved.
    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Copies the database to a folder that is not there yet, and gives the number of records.
    ///
    /// The copy is of one moment and a database directory itself. Other threads may search
    /// meanwhile; changes wait. `on_copied` hears how many records were copied, and of how many.
    ///
    /// # Errors
    /// [`Error::Store`], as for [`Store::backup`].
    pub fn backup(&self, target: &Path, on_copied: &dyn Fn(u64, u64)) -> Result<u64, Error> {
        Ok(self.store.backup(target, on_copied)?)
    }

    /// What embeds the images.
    pub fn encoder(&self) -> &dyn Encoder {
        &*self.encoder
    }

    /// Gives the location of an absolute path whose links are resolved.
    pub fn locate(&self, path: &Path) -> Location {
        Location::of(path, &self.home)
    }

    /// Reads new and changed images of folders into the database.
    ///
    /// Folders are absolute paths whose links are resolved. Files that cannot
    /// be read are in the report. What was done is kept whatever happens after.
    ///
    /// # Errors
    /// [`Error::Ingest`].
    pub fn index(
        &self,
        folders: &[PathBuf],
        options: &IndexOptions,
        control: Control<'_>,
    ) -> Result<IngestReport, Error> {
        self.forget_loaded();
        let target = Target {
            store: &self.store,
            home: &self.home,
            encoder: &*self.encoder,
            space: self.space,
            beside: self.beside,
            detector: self.detector_with_space()?,
            thumbs: &self.thumbs,
        };
        let report = ingest::run(target, folders, options, control);
        // Whoever searched meanwhile loaded a part.
        self.forget_loaded();
        Ok(report?)
    }

    /// The images that pass a filter, ordered by number; of a raw file and the image that was
    /// developed from it, only the image.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn images(&self, filter: &Filter) -> Result<Vec<ImageRow>, Error> {
        Ok(query::list(&*self.rows()?, filter, self.encoder.class_names())?)
    }

    /// An image with what is known of it; `None` for a number that no image has.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn image(&self, id: ImageId) -> Result<Option<ImageRow>, Error> {
        Ok(self.rows()?.row(id).cloned())
    }

    /// The raw files of an image's shot: what [`Database::images`] does not list beside the image.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn raw_files(&self, row: &ImageRow) -> Result<Vec<PathBuf>, Error> {
        let locations = self.rows()?.raw_locations(row);
        Ok(locations.iter().map(|location| location.to_path(&self.home)).collect())
    }

    /// The images whose files are all missing, ordered by number.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn missing_images(&self) -> Result<Vec<(ImageId, Location)>, Error> {
        let mut missing = Vec::new();
        for entry in self.store.locations() {
            let (location, record) = entry?;
            if let LocationState::Missing(id) = record.state {
                missing.push((id, location));
            }
        }
        missing.sort();
        Ok(missing)
    }

    /// The files that the last runs of [`Database::index`] could not read.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn failed_files(&self) -> Result<Vec<Failure>, Error> {
        let mut failures = Vec::new();
        for entry in self.store.locations() {
            let (location, record) = entry?;
            if let LocationState::Failed { reason, .. } = record.state {
                failures.push(Failure { path: location.to_path(&self.home), reason });
            }
        }
        Ok(failures)
    }

    /// The stored embedding of an image.
    ///
    /// # Errors
    /// [`Error::UnknownImage`].
    pub fn embedding(&self, id: ImageId) -> Result<Embedding, Error> {
        self.store.embedding(self.space, id)?.ok_or_else(|| self.no_embedding(id))
    }

    /// The stored embeddings of all images, in one pass over them.
    ///
    /// # Errors
    /// [`Error::Store`] when one is damaged.
    pub fn embeddings(&self) -> Result<BTreeMap<ImageId, Embedding>, Error> {
        Ok(self.store.embeddings(self.space).collect::<Result<_, _>>()?)
    }

    /// The number of the image in a file: by its place, else by its content.
    ///
    /// # Errors
    /// [`Error::NotIndexed`]; [`Error::File`] when the file cannot be read.
    pub fn image_at(&self, path: &Path) -> Result<ImageId, Error> {
        if let Some(record) = self.store.location(&self.locate(path))?
            && let LocationState::Present(id) = record.state
        {
            return Ok(id);
        }
        let bytes =
            std::fs::read(path).map_err(|source| Error::File { path: path.to_owned(), source })?;
        self.store
            .image_id(&ContentHash::of(&bytes))?
            .ok_or_else(|| Error::NotIndexed { path: path.to_owned() })
    }

    /// Loads what is known of the images on first use.
    fn rows(&self) -> Result<Arc<Rows>, Error> {
        let mut slot = self.rows_slot();
        if let Some(rows) = &*slot {
            return Ok(rows.clone());
        }
        let rows = Arc::new(Rows::load(&self.store, self.space)?);
        *slot = Some(rows.clone());
        Ok(rows)
    }

    fn rows_if_loaded(&self) -> Option<Arc<Rows>> {
        self.rows_slot().clone()
    }

    /// Loads images and vectors on first use.
    fn loaded(&self) -> Result<Arc<Loaded>, Error> {
        let mut slot = self.loaded_slot();
        if let Some(loaded) = &*slot {
            return Ok(loaded.clone());
        }
        let (space, rows) = (self.encoder.space(), self.rows()?);
        let corpus = Corpus::load(&self.store, self.space, space, rows)?;
        let exact = ExactIndex::new(corpus.vectors().clone());
        let loaded = Arc::new(Loaded { corpus, exact });
        *slot = Some(loaded.clone());
        Ok(loaded)
    }

    fn forget_loaded(&self) {
        *self.loaded_slot() = None;
        *self.rows_slot() = None;
        self.forget_graph();
        self.forget_objects();
    }

    fn rows_slot(&self) -> MutexGuard<'_, Option<Arc<Rows>>> {
        self.loaded_rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded_slot(&self) -> MutexGuard<'_, Option<Arc<Loaded>>> {
        // The slot is replaced as a whole, so a panic elsewhere cannot leave it half-filled.
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
