//! The objects of a database in memory, and the images whose objects resemble a query.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Serialize;

use super::images::InMemory;
use super::neighbors::{hit_locations, query_shot};
use super::{Corpus, Has, Hit, MatchedObject, QueryError, Search};
use crate::index::{ExactIndex, NodeFilter, VectorIndex, VectorSetBuilder};
use crate::record::{ClassId, Detection, ImageId, Space, SpaceId};
use crate::store::{ObjectNumber, Store};

/// The objects of one space, with their vectors.
pub struct Objects {
    detections: BTreeMap<ImageId, Vec<Detection>>,
    /// The objects of each node, by image and number.
    members: Vec<Vec<(ImageId, ObjectNumber)>>,
    index: ExactIndex,
}

/// How often a class was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The class.
    pub class: ClassId,
    /// Images with at least one object of it.
    pub images: usize,
    /// Objects of it.
    pub objects: usize,
}

impl Objects {
    /// Loads all objects of a space.
    ///
    /// Costs one pass over its records; 4 bytes for each dimension of each object stay in memory.
    ///
    /// # Errors
    /// [`QueryError::Store`] when a record is damaged; [`QueryError::Index`] when an embedding is
    /// not of the space's dimension.
    pub fn load(store: &Store, id: SpaceId, space: &Space) -> Result<Self, QueryError> {
        let detections = store.all_detections(id).collect::<Result<_, _>>()?;
        let mut vectors = VectorSetBuilder::new(space.dimension as usize);
        let mut members: Vec<Vec<(ImageId, ObjectNumber)>> = Vec::new();
        for entry in store.object_embeddings(id) {
            let (object, embedding) = entry?;
            let node = vectors.push(embedding.as_slice())? as usize;
            if node == members.len() {
                members.push(Vec::new());
            }
            members[node].push(object);
        }
        let index = ExactIndex::new(vectors.finish().into());
        Ok(Self { detections, members, index })
    }

    /// What was found on an image; `None` when nobody has looked.
    #[must_use]
    pub fn of(&self, id: ImageId) -> Option<&[Detection]> {
        self.detections.get(&id).map(Vec::as_slice)
    }

    /// The images on whose objects a condition holds.
    #[must_use]
    pub fn images_with(&self, has: &Has) -> BTreeSet<ImageId> {
        let found = self.detections.iter().filter(|(_, objects)| has.holds(objects));
        found.map(|(id, _)| *id).collect()
    }

    /// How often each class was found on the images that `is_wanted`, in the order of the classes.
    #[must_use]
    pub fn classes(&self, is_wanted: impl Fn(ImageId) -> bool) -> Vec<ClassCount> {
        let mut counts: BTreeMap<ClassId, ClassCount> = BTreeMap::new();
        for (_, objects) in self.detections.iter().filter(|(id, _)| is_wanted(**id)) {
            let mut seen = BTreeSet::new();
            for &Detection { class, .. } in objects {
                let none = ClassCount { class, images: 0, objects: 0 };
                let count = counts.entry(class).or_insert(none);
                count.objects += 1;
                count.images += usize::from(seen.insert(class));
            }
        }
        counts.into_values().collect()
    }

    fn object(&self, (id, number): (ImageId, ObjectNumber)) -> Option<MatchedObject> {
        let detection = *self.of(id)?.get(usize::from(number))?;
        Some(MatchedObject { number, detection })
    }
}

/// Finds the images with the objects most similar to a query vector, the best first, ties by the
/// order in which they were embedded; each image with its best object.
///
/// Scans all objects exactly.
///
/// # Errors
/// As for [`search`](super::search).
pub fn search_objects(
    corpus: &Corpus,
    objects: &Objects,
    query: &[f32],
    search: &Search,
    class_names: &[String],
) -> Result<Vec<Hit>, QueryError> {
    let filter = search.filter.resolve_in(corpus.known(), class_names)?;
    let query_shot = query_shot(&InMemory::new(corpus, &objects.index, None), search)?;
    let locations = |id| {
        let row = corpus.row(id)?;
        let locations =
            hit_locations(row, corpus.known().developed(row), &filter, search, query_shot);
        (!locations.is_empty()).then_some((row, locations))
    };
    let mut nodes = NodeFilter::none(objects.members.len());
    for (members, node) in objects.members.iter().zip(0..) {
        if members.iter().any(|(id, _)| locations(*id).is_some()) {
            nodes.insert(node);
        }
    }
    // Several objects may lie on one image: more are asked for until there are images enough.
    let mut wanted = search.top.saturating_mul(4).max(16);
    loop {
        let neighbors = objects.index.search(query, wanted, Some(&nodes))?;
        let complete = neighbors.len() < wanted;
        let mut hits = Vec::new();
        let mut seen = HashSet::new();
        let mut below = false;
        for neighbor in neighbors {
            let score = neighbor.score.clamp(-1.0, 1.0);
            below = score < search.score_min;
            if below || hits.len() >= search.top {
                break;
            }
            for &member in &objects.members[neighbor.node as usize] {
                let Some((row, locations)) = locations(member.0) else { continue };
                if seen.insert(row.id) {
                    hits.push(Hit {
                        id: row.id,
                        hash: row.record.hash,
                        score,
                        locations,
                        raw_locations: corpus.known().raw_locations(row),
                        object: objects.object(member),
                    });
                }
            }
        }
        if complete || below || hits.len() >= search.top {
            hits.truncate(search.top);
            return Ok(hits);
        }
        wanted = wanted.saturating_mul(4);
    }
}
