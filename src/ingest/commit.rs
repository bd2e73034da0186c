//! Gathers outcomes and stores each batch of them in one transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::report::{Failure, IngestReport};
use super::work::{Done, NewImage, Outcome};
use super::{FileState, IngestError, Reach, Target};
use crate::imaging::READER_VERSION;
use crate::record::{ImageId, Location, LocationRecord, LocationState};
use crate::store::{Roots, StoreError, Writer};

/// New images in a transaction: enough to make its two syncs small beside the network.
const BATCH_IMAGES: usize = 16;
/// Locations in a transaction.
const BATCH_LOCATIONS: usize = 512;
/// Work that a killed run may lose.
const BATCH_AGE_MAX: Duration = Duration::from_secs(2);

/// Files that are new here, of content that was known before.
type Arrivals = BTreeMap<ImageId, BTreeSet<Location>>;

/// Gathers outcomes and commits them.
pub(super) struct Committer<'a> {
    target: Target<'a>,
    roots: &'a Roots,
    batch: Vec<Done>,
    new_images: usize,
    batch_start: Instant,
    report: IngestReport,
    arrivals: Arrivals,
}

impl<'a> Committer<'a> {
    pub(super) fn new(target: Target<'a>, roots: &'a Roots) -> Self {
        Self {
            target,
            roots,
            batch: Vec::new(),
            new_images: 0,
            batch_start: Instant::now(),
            report: IngestReport::default(),
            arrivals: Arrivals::new(),
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
        let target = self.target;
        let (report, arrivals) = (&mut self.report, &mut self.arrivals);
        target.store.write(|writer| {
            let mut step = Step { target, writer, report, arrivals };
            for done in batch {
                step.store(done)?;
            }
            Ok::<(), IngestError>(())
        })
    }

    /// Known content at a new place was moved there if another place of it is gone,
    /// and copied from a place that is offline.
    fn tell_moved_from_copied(&mut self) -> Result<(), StoreError> {
        let (store, home) = (self.target.store, self.target.home);
        let reach = Reach::now(self.roots, home, store.directory());
        let mut left = Vec::new();
        for (id, arrived) in &self.arrivals {
            let gone = store.locations_of(*id)?.into_iter().filter(|location| {
                !arrived.contains(location)
                    && reach.file(&location.to_path(home)) == FileState::Gone
            });
            let before = left.len();
            left.extend(gone.take(arrived.len()));
            let moved = left.len() - before;
            self.report.moved += moved as u64;
            self.report.copied += (arrived.len() - moved) as u64;
        }
        store.write(|writer| left.iter().try_for_each(|location| writer.remove_location(location)))
    }
}

/// One transaction in the making.
struct Step<'a, 'w> {
    target: Target<'a>,
    writer: &'a mut Writer<'w>,
    report: &'a mut IngestReport,
    arrivals: &'a mut Arrivals,
}

impl Step<'_, '_> {
    fn store(&mut self, done: Done) -> Result<(), IngestError> {
        let Done { location, path, stamp, outcome } = done;
        let before = self.target.store.location(&location)?.map(|record| record.state);
        let state = match outcome {
            Outcome::Vanished => return Ok(()),
            Outcome::Unsettled => {
                self.report.unsettled += 1;
                return Ok(());
            }
            Outcome::Known(id) => {
                self.count_known(id, &location, before.as_ref());
                LocationState::Present(id)
            }
            Outcome::New(image) => match image.get() {
                Some(Ok(image)) => {
                    LocationState::Present(self.put_image(image, &location, before)?)
                }
                Some(Err(reason)) => failed(reason.clone()),
                None => failed("its content could not be read at another place".to_owned()),
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
        image: &NewImage,
        location: &Location,
        before: Option<LocationState>,
    ) -> Result<ImageId, IngestError> {
        let space = self.target.space;
        let known = self.writer.image_id(&image.record.hash)?;
        // The same content at a place that came earlier in this run.
        if let Some(id) = known
            && self.writer.has_embedding(space, id)?
            && self.writer.has_fingerprint(id)?
            && match self.target.detector {
                Some((_, objects)) => self.writer.has_detections(objects, id)?,
                None => true,
            }
        {
            self.count_known(id, location, before.as_ref());
            return Ok(id);
        }
        let id = match known {
            Some(id) if self.target.beside || image.embedding.is_none() => id,
            _ => self.writer.put_image(&image.record)?,
        };
        if let Some(embedding) = &image.embedding {
            self.writer.put_embedding(space, id, embedding)?;
            self.report.embedded += 1;
        }
        if let Some(fingerprint) = &image.fingerprint {
            self.writer.put_fingerprint(id, fingerprint)?;
        }
        if let (Some((_, space)), Some(found)) = (self.target.detector, &image.objects) {
            self.writer.put_objects(space, id, &found.detections, &found.embeddings)?;
            self.report.objects += found.detections.len() as u64;
        }
        match (known, before) {
            // An image that had no embedding in this space yet.
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
            Some(LocationState::Present(old)) if *old == id => self.report.unchanged += 1,
            Some(LocationState::Missing(old)) if *old == id => {
                self.report.unchanged += 1;
                self.report.returned += 1;
            }
            Some(LocationState::Present(_) | LocationState::Missing(_)) => self.report.changed += 1,
            _ => {
                self.arrivals.entry(id).or_default().insert(location.clone());
            }
        }
    }
}

fn failed(reason: String) -> LocationState {
    LocationState::Failed { reason, reader_version: READER_VERSION }
}
