//! Objects of a database: looked for by a detector, searched, counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, MutexGuard, PoisonError};

use super::Database;
use crate::error::Error;
use crate::inference::{COCO_CLASSES, Detector};
use crate::objects;
use crate::query::{self, ClassCount, Cluster, Filter, Has, Hit, Objects, Search};
use crate::record::{ClassId, Detection, ImageId, Space, SpaceId};
use crate::store::ObjectNumber;
use crate::vector::Embedding;

/// How much was found.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ObjectCounts {
    /// Images on which somebody has looked.
    pub(super) images: u64,
    pub(super) objects: u64,
}

fn is_of_objects((_, space): &(SpaceId, Space)) -> bool {
    space.name == objects::SPACE_NAME
}

impl Database {
    /// Looks for objects from now on: [`Database::index`] stores what is found on each image.
    #[must_use]
    pub fn with_detector(mut self, detector: Arc<dyn Detector>) -> Self {
        self.detector = Some(detector);
        self
    }

    /// The detector and its space of objects, which is added if it is not there yet.
    pub(super) fn detector_with_space(&self) -> Result<Option<(&dyn Detector, SpaceId)>, Error> {
        let Some(detector) = self.detector.as_deref() else { return Ok(None) };
        let wanted = objects::space(self.encoder.space(), detector);
        let known = self.store.spaces()?.into_iter().find(|(_, space)| *space == wanted);
        let id = match known {
            Some((id, _)) => id,
            None => self.store.write(|writer| writer.add_space(&wanted))?,
        };
        Ok(Some((detector, id)))
    }

    /// The space of objects that queries are about: the detector's, else the newest that this
    /// encoder has embedded.
    fn object_space(&self) -> Result<Option<(SpaceId, Space)>, Error> {
        let encoder = self.encoder.space();
        let wanted = self.detector.as_deref().map(|detector| objects::space(encoder, detector));
        let fits = |space: &Space| match &wanted {
            Some(wanted) => space == wanted,
            None => objects::is_space_of(space, encoder),
        };
        Ok(self.store.spaces()?.into_iter().rev().find(|(_, space)| fits(space)))
    }

    /// Finds the images with the objects most similar to an embedding; each hit names the object.
    ///
    /// # Errors
    /// [`Error::NoObjects`] when nobody has looked for objects; [`Error::Query`].
    pub fn search_objects(
        &self,
        embedding: &Embedding,
        search: &Search,
    ) -> Result<Vec<Hit>, Error> {
        let (loaded, objects) = (self.loaded()?, self.objects()?);
        let names = self.encoder.class_names();
        let vector = embedding.as_slice();
        Ok(query::search_objects(&loaded.corpus, &objects, vector, search, names)?)
    }

    /// The stored embedding of an object.
    ///
    /// # Errors
    /// [`Error::NoObjects`]; [`Error::UnknownObject`] when the image has no such object.
    pub fn object_embedding(&self, id: ImageId, number: ObjectNumber) -> Result<Embedding, Error> {
        let (space, _) = self.object_space()?.ok_or(Error::NoObjects)?;
        let found = self.store.object_embedding(space, id, number)?;
        let count = self.store.detections(space, id)?.map_or(0, |objects| objects.len());
        found.ok_or(Error::UnknownObject { number: usize::from(number) + 1, count })
    }

    /// What was found on an image, the surest first; `None` when nobody has looked.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn objects_on(&self, id: ImageId) -> Result<Option<Vec<Detection>>, Error> {
        match self.object_space()? {
            Some((space, _)) => Ok(self.store.detections(space, id)?),
            None => Ok(None),
        }
    }

    /// The images on whose objects a condition holds, for [`Filter::images`].
    ///
    /// # Errors
    /// [`Error::NoObjects`]; [`Error::Query`].
    pub fn images_with(&self, has: &Has) -> Result<BTreeSet<ImageId>, Error> {
        Ok(self.objects()?.images_with(has))
    }

    /// How often each class was found on the images that pass a filter.
    ///
    /// # Errors
    /// [`Error::NoObjects`]; [`Error::Query`].
    pub fn object_classes(&self, filter: &Filter) -> Result<Vec<ClassCount>, Error> {
        let objects = self.objects()?;
        let images = self.images(filter)?;
        let shown: BTreeSet<ImageId> = images.iter().map(|image| image.id).collect();
        Ok(objects.classes(|id| shown.contains(&id)))
    }

    /// The names of the classes of objects.
    #[must_use]
    pub fn object_class_names(&self) -> Vec<String> {
        match &self.detector {
            Some(detector) => detector.class_names().to_vec(),
            // All detectors that are part of the library know these.
            None => COCO_CLASSES.iter().map(|class| class.name.to_owned()).collect(),
        }
    }

    /// The class of objects that are on at least half of the images of a cluster.
    pub(super) fn common_object(&self, cluster: &Cluster) -> Result<Option<String>, Error> {
        let mut images_with: BTreeMap<ClassId, usize> = BTreeMap::new();
        for member in &cluster.members {
            let found = self.objects_on(member.id)?.unwrap_or_default();
            let classes: BTreeSet<ClassId> = found.iter().map(|object| object.class).collect();
            classes.into_iter().for_each(|class| *images_with.entry(class).or_default() += 1);
        }
        let most = images_with.into_iter().max_by_key(|(_, images)| *images);
        let class = most.filter(|(_, images)| images * 2 >= cluster.members.len());
        let names = self.object_class_names();
        Ok(class.and_then(|(class, _)| names.get(usize::from(class.0)).cloned()))
    }

    /// How many objects were found on how many images, for the space that queries are about.
    pub(super) fn object_counts(&self) -> Result<ObjectCounts, Error> {
        let mut counts = ObjectCounts::default();
        let Some((space, _)) = self.object_space()? else { return Ok(counts) };
        for entry in self.store.all_detections(space) {
            counts.images += 1;
            counts.objects += entry?.1.len() as u64;
        }
        Ok(counts)
    }

    /// Whether all objects belong to an image and have an embedding, and no other has.
    pub(super) fn check_objects(&self, problems: &mut Vec<String>) -> Result<(), Error> {
        for (space, _) in self.store.spaces()?.into_iter().filter(is_of_objects) {
            let mut embedded: BTreeMap<ImageId, usize> = BTreeMap::new();
            for entry in self.store.object_embeddings(space) {
                let ((id, _), _) = entry?;
                *embedded.entry(id).or_default() += 1;
            }
            for entry in self.store.all_detections(space) {
                let (id, detections) = entry?;
                if self.store.image(id)?.is_none() {
                    problems.push(format!("objects belong to image {id}, which is not there"));
                }
                let found = embedded.remove(&id).unwrap_or(0);
                if found != detections.len() {
                    let count = detections.len();
                    problems.push(format!("{found} of {count} objects of image {id} are embedded"));
                }
            }
            for (id, count) in embedded {
                problems.push(format!("{count} embeddings of image {id} are of no object"));
            }
        }
        Ok(())
    }

    /// Loads the objects on first use.
    fn objects(&self) -> Result<Arc<Objects>, Error> {
        let mut slot = self.objects_slot();
        if let Some(objects) = &*slot {
            return Ok(objects.clone());
        }
        let (id, space) = self.object_space()?.ok_or(Error::NoObjects)?;
        let objects = Arc::new(Objects::load(&self.store, id, &space)?);
        *slot = Some(objects.clone());
        Ok(objects)
    }

    pub(super) fn forget_objects(&self) {
        *self.objects_slot() = None;
    }

    fn objects_slot(&self) -> MutexGuard<'_, Option<Arc<Objects>>> {
        // The slot is replaced as a whole, so a panic elsewhere cannot leave it half-filled.
        self.loaded_objects.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
