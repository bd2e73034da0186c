//! Images that stand out, and what a score is worth.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::{Database, ImageRow};
use crate::error::Error;
use crate::index::VectorIndex;
use crate::learn::Chance;
use crate::query::{self, Filter, ImageIssue, Outlier, QueryError};
use crate::record::{Fingerprint, ImageId};

/// Images whose scores are compared to tell chance from likeness.
const SAMPLE: usize = 500;

impl Database {
    /// Orders the images that pass a filter by how unlike all others they are: by the mean score to
    /// their `neighbors` nearest among all images, copies counting as one.
    ///
    /// Compares all with all.
    ///
    /// # Errors
    /// [`Error::Query`].
    pub fn outliers(&self, filter: &Filter, neighbors: usize) -> Result<Vec<Outlier>, Error> {
        let loaded = self.loaded()?;
        let rows = query::list(&*self.rows()?, filter, self.encoder.class_names())?;
        let score = |row: &ImageRow| -> Result<Option<(ImageId, f32)>, QueryError> {
            let node = loaded.corpus.node(row);
            let found = loaded.exact.search(loaded.corpus.vector(row), neighbors + 1, None)?;
            let others: Vec<f32> =
                found.iter().filter(|hit| hit.node != node).map(|hit| hit.score).collect();
            let mean = others.iter().sum::<f32>() / others.len().max(1) as f32;
            Ok((!others.is_empty()).then_some((row.id, mean)))
        };
        let scores: Vec<Option<(ImageId, f32)>> =
            rows.par_iter().map(score).collect::<Result<_, _>>()?;
        Ok(query::outliers(&scores.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// Lists what is doubtful about the images that pass a filter, and how many of them could not be
    /// judged, because `index` has not taken their fingerprints yet.
    ///
    /// # Errors
    /// [`Error::Query`]; [`Error::Store`].
    pub fn issues(&self, filter: &Filter) -> Result<(Vec<ImageIssue>, u64), Error> {
        let rows = query::list(&*self.rows()?, filter, self.encoder.class_names())?;
        let mut known: Vec<(&ImageRow, Fingerprint)> = Vec::new();
        for row in &rows {
            if let Some(fingerprint) = self.store.fingerprint(row.id)? {
                known.push((row, fingerprint));
            }
        }
        let judged: Vec<_> = known.iter().map(|(row, print)| (*row, print)).collect();
        Ok((query::issues(&judged), (rows.len() - judged.len()) as u64))
    }

    /// How often unrelated images of this collection score as high as a hit; `None` below 30 images.
    ///
    /// Kept beside the graph, and drawn anew when a tenth of the images came or went.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn chance(&self) -> Result<Option<Chance>, Error> {
        let images = self.store.manifest().counts.images;
        let is_current = |known: &Sampled| {
            // A tenth more or fewer images change little of where chance lies.
            known.chance.is_sound() && known.images.abs_diff(images) * 10 <= images
        };
        if let Some(known) = self.derived(KEPT).filter(is_current) {
            return Ok(Some(known.chance));
        }
        let mut ids: Vec<ImageId> =
            self.store.embedded_images(self.space).collect::<Result<_, _>>()?;
        ids.shuffle(&mut Xoshiro256PlusPlus::seed_from_u64(0));
        ids.truncate(SAMPLE);
        let mut embeddings = Vec::new();
        for id in ids {
            embeddings.extend(self.store.embedding(self.space, id)?);
        }
        let rows: Vec<&[f32]> = embeddings.iter().map(|embedding| embedding.as_slice()).collect();
        let Some(chance) = Chance::of(&rows) else { return Ok(None) };
        let sampled = Sampled { images, chance };
        self.keep_derived(KEPT, &sampled);
        Ok(Some(sampled.chance))
    }

    /// Images that can be hits.
    pub fn image_count(&self) -> u64 {
        self.store.manifest().counts.images
    }
}

/// The file beside the graph that keeps the chance of scores.
const KEPT: &str = "chance.json";

/// What that holds.
#[derive(serde::Serialize, serde::Deserialize)]
struct Sampled {
    /// Images of the database at that time.
    images: u64,
    chance: Chance,
}
