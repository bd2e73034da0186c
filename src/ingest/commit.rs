//! Embeds outcomes in batches and stores each batch in one transaction.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::read::{Done, NewImage, Outcome, reason};
use super::report::{Failure, IngestReport};
use super::{IngestError, Target};
use crate::imaging::READER_VERSION;
use crate::inference::{Encoder, InferenceError, top_classes};
use crate::pixels::Pixels;
use crate::record::{ClassScore, ContentHash, ImageId, Location, LocationRecord, LocationState};
use crate::store::{StoreError, Writer};
use crate::vector::Embedding;

/// New images in a transaction: enough to make its two syncs small beside the network.
const BATCH_IMAGES: usize = 16;
/// Locations in a transaction.
const BATCH_LOCATIONS: usize = 512;
/// Work that a killed run may lose.
const BATCH_AGE_MAX: Duration = Duration::from_secs(2);
/// Classes that are kept of each image.
const CLASSES_KEPT: usize = 5;

/// Gathers outcomes and commits them.
pub(super) struct Committer<'a> {
    target: Target<'a>,
    batch: Vec<Done>,
    new_images: usize,
    batch_start: Instant,
    report: IngestReport,
    arrivals: Vec<(ImageId, Location)>,
}

/// An embedded image, or why the network did not take it.
type Encoded = Result<(Embedding, Vec<ClassScore>), String>;

impl<'a> Committer<'a> {
    pub(super) fn new(target: Target<'a>) -> Self {
        Self {
            target,
            batch: Vec::new(),
            new_images: 0,
            batch_start: Instant::now(),
            report: IngestReport::default(),
            arrivals: Vec::new(),
        }
    }

    /// Files that could not be read so far.
    pub(super) fn failures(&self) -> u64 {
        self.report.failed.len() as u64
    }

    /// Takes the next outcome; commits when a batch is full or old.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn add(&mut self, done: Done) -> Result<(), IngestError> {
        if self.batch.is_empty() {
            self.batch_start = Instant::now();
        }
        self.new_images += usize::from(matches!(done.outcome, Outcome::New(_)));
        self.batch.push(done);
        let full = self.new_images >= BATCH_IMAGES || self.batch.len() >= BATCH_LOCATIONS;
        if full || self.batch_start.elapsed() > BATCH_AGE_MAX {
            self.commit()?;
        }
        Ok(())
    }

    /// Commits the rest and gives the report so far.
    ///
    /// # Errors
    /// Those of the store.
    pub(super) fn finish(mut self) -> Result<IngestReport, IngestError> {
        self.commit()?;
        self.tell_moved_from_copied()?;
        Ok(self.report)
    }

    fn commit(&mut self) -> Result<(), IngestError> {
        let batch = std::mem::take(&mut self.batch);
        self.new_images = 0;
        let encoded = encode_new(self.target.encoder, &batch)?;
        self.report.embedded += encoded.values().filter(|result| result.is_ok()).count() as u64;
        let target = self.target;
        let (report, arrivals) = (&mut self.report, &mut self.arrivals);
        target.store.write(|writer| {
            let mut step = Step { target, writer, encoded: &encoded, report, arrivals };
            for done in batch {
                step.store(done)?;
            }
            Ok::<(), IngestError>(())
        })
    }

    /// Known content at a new place was moved there if another place of it is gone.
    fn tell_moved_from_copied(&mut self) -> Result<(), StoreError> {
        let (store, home) = (self.target.store, self.target.home);
        for (id, arrived) in std::mem::take(&mut self.arrivals) {
            let gone = store.locations_of(id)?.into_iter().find(|location| {
                *location != arrived && location.to_path(home).symlink_metadata().is_err()
            });
            match gone {
                Some(old) => {
                    store.write(|writer| writer.remove_location(&old))?;
                    self.report.moved += 1;
                }
                None => self.report.copied += 1,
            }
        }
        Ok(())
    }
}

/// One transaction in the making.
struct Step<'a, 'w> {
    target: Target<'a>,
    writer: &'a mut Writer<'w>,
    encoded: &'a HashMap<ContentHash, Encoded>,
    report: &'a mut IngestReport,
    arrivals: &'a mut Vec<(ImageId, Location)>,
}

impl Step<'_, '_> {
    fn store(&mut self, done: Done) -> Result<(), IngestError> {
        let Done { location, path, stamp, outcome } = done;
        let before = self.target.store.location(&location)?.map(|record| record.state);
        let state = match outcome {
            Outcome::Vanished => return Ok(()),
            Outcome::Known(id) => {
                self.count_known(id, &location, before.as_ref());
                LocationState::Present(id)
            }
            Outcome::New(image) => match self.encoded.get(&image.record.hash) {
                Some(Ok((embedding, classes))) => {
                    let id = self.put_image(*image, embedding, classes, &location, before)?;
                    LocationState::Present(id)
                }
                Some(Err(reason)) => failed(reason.clone()),
                None => failed("the network gave no result".to_owned()),
            },
            Outcome::Failed(reason) => failed(reason),
        };
        if let LocationState::Failed { reason, .. } = &state {
            self.report.failed.push(Failure { path, reason: reason.clone() });
        }
        self.writer.put_location(&location, &LocationRecord { state, stamp })?;
        Ok(())
    }

    fn put_image(
        &mut self,
        image: NewImage,
        embedding: &Embedding,
        classes: &[ClassScore],
        location: &Location,
        before: Option<LocationState>,
    ) -> Result<ImageId, IngestError> {
        let mut record = image.record;
        let known = self.writer.image_id(&record.hash)?;
        record.classes = classes.to_vec();
        let id = self.writer.put_image(&record)?;
        self.writer.put_embedding(self.target.space, id, embedding)?;
        match (known, before) {
            // The same content twice in one batch, or an image that had no
            // embedding in this space yet.
            (Some(id), before) => self.count_known(id, location, before.as_ref()),
            (None, Some(LocationState::Present(_) | LocationState::Missing(_))) => {
                self.report.changed += 1;
            }
            (None, _) => self.report.added += 1,
        }
        Ok(id)
    }

    fn count_known(&mut self, id: ImageId, location: &Location, before: Option<&LocationState>) {
        match before {
            Some(LocationState::Present(old) | LocationState::Missing(old)) if *old == id => {
                self.report.unchanged += 1;
            }
            Some(LocationState::Present(_) | LocationState::Missing(_)) => self.report.changed += 1,
            _ => self.arrivals.push((id, location.clone())),
        }
    }
}

fn failed(reason: String) -> LocationState {
    LocationState::Failed { reason, reader_version: READER_VERSION }
}

/// Sends each distinct new content of a batch through the network.
fn encode_new(
    encoder: &dyn Encoder,
    batch: &[Done],
) -> Result<HashMap<ContentHash, Encoded>, IngestError> {
    let mut images: Vec<&NewImage> = Vec::new();
    let mut encoded = HashMap::new();
    for done in batch {
        if let Outcome::New(image) = &done.outcome {
            let unseen = Err("not embedded".to_owned());
            if encoded.insert(image.record.hash, unseen).is_none() {
                images.push(image);
            }
        }
    }
    match encode(encoder, &images) {
        Ok(results) => {
            for (image, result) in images.iter().zip(results) {
                encoded.insert(image.record.hash, Ok(result));
            }
        }
        // One image that the network cannot take must not cost the others.
        Err(_) => {
            for image in images {
                let result = encode(encoder, &[image]).map_err(|error| reason(&error));
                let result = result.and_then(|mut one| one.pop().ok_or_else(String::new));
                encoded.insert(image.record.hash, result);
            }
        }
    }
    Ok(encoded)
}

fn encode(
    encoder: &dyn Encoder,
    images: &[&NewImage],
) -> Result<Vec<(Embedding, Vec<ClassScore>)>, InferenceError> {
    let wholes: Vec<Pixels> = images.iter().map(|image| image.whole.clone()).collect();
    let crops: Vec<Pixels> = images.iter().map(|image| image.crop.clone()).collect();
    let classes = encoder.classify(&crops)?;
    let embeddings = encoder.embed(&wholes)?;
    Ok(embeddings
        .into_iter()
        .zip(classes)
        .map(|(embedding, probabilities)| (embedding, top_classes(&probabilities, CLASSES_KEPT)))
        .collect())
}
