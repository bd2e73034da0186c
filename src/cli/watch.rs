//! `lookalike watch`: keeps the database current with its folders until Ctrl-C.
//!
//! The database is open only while something is being indexed, so that other
//! commands take their turns.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::bail;
use lookalike::inference::{Detector, Encoder};
use lookalike::ingest::IngestError;
use lookalike::store::{self, StoreError, StoredNetwork};
use lookalike::{Database, Error, FolderWatch, IndexOptions, IngestReport, Wake, WatchError};

use super::args::{GlobalArgs, WatchArgs};
use super::output::{Output, shown};
use super::{Outcome, index, networks, progress, session};

/// A file is read when nothing was written to it for this long.
const UNSETTLED_FOR: Duration = Duration::from_secs(2);

/// How long to wait when the database could not be had.
const RETRY: Duration = Duration::from_secs(1);

/// How often folders are looked at when the system does not report changes.
const POLL_FALLBACK: Duration = Duration::from_secs(30);

/// A watch in progress.
struct Watching<'a> {
    directory: PathBuf,
    encoder: Arc<dyn Encoder>,
    /// What was chosen to serve when the encoder was loaded.
    serving: Option<StoredNetwork>,
    /// Absent when objects are not looked for.
    detector: Option<Arc<dyn Detector>>,
    folders: Vec<PathBuf>,
    options: IndexOptions,
    output: &'a Output,
    /// What the last pass over the folders found.
    last: IngestReport,
    /// Whether was said that the database cannot be had.
    told: bool,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &WatchArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let (directory, named) = index::resolve(global, &args.folders)?;
    progress::listen_for_interrupt()?;
    let options =
        IndexOptions { unsettled_for: Some(UNSETTLED_FOR), ..index::options(global, &args.walk) };
    let mut watching = Watching {
        encoder: networks::serving(&directory)?,
        serving: store::serving_network(&directory).map_err(Error::from)?,
        directory,
        detector: session::wanted_detector(&args.objects)?,
        folders: Vec::new(),
        options,
        output,
        last: IngestReport::default(),
        told: false,
    };
    let Some(database) = watching.first_open()? else { return Ok(Outcome::Done) };
    watching.folders = index::folders(&database, named)?;
    let known = database.roots()?;
    let unknown = |folder: &&PathBuf| !known.iter().any(|root| folder.starts_with(&root.path));
    if let Some(folder) = watching.folders.iter().find(|folder| !folder.is_dir() && unknown(folder))
    {
        bail!("{folder:?} is no folder, and none that was indexed before");
    }
    watching.directory = database.directory().canonicalize()?;
    drop(database);
    // From here on no change is missed: it wakes the watch after the first pass.
    let watch = watching.start(args.poll.map(Duration::from_secs_f64));
    watching.follow(watch)?;
    Ok(Outcome::Done)
}

impl Watching<'_> {
    /// Opens the database, or makes it, as soon as no other process has it.
    fn first_open(&mut self) -> anyhow::Result<Option<Database>> {
        while !progress::interrupted() {
            match Database::create(&self.directory, Arc::clone(&self.encoder)) {
                Err(error @ Error::Store(StoreError::Locked { .. })) => self.tell(&error),
                opened => return Ok(Some(opened?)),
            }
        }
        Ok(None)
    }

    fn start(&self, poll: Option<Duration>) -> FolderWatch {
        let (folders, directory) = (self.folders.clone(), self.directory.clone());
        let walk = self.options.walk.clone();
        match poll {
            Some(interval) => FolderWatch::poll(folders, directory, walk, interval),
            None => FolderWatch::events(folders, directory, walk)
                .unwrap_or_else(|error| self.fall_back(error)),
        }
    }

    /// Looks at the folders by itself when the system does not.
    fn fall_back(&self, error: WatchError) -> FolderWatch {
        let (error, seconds) = (anyhow::Error::from(error), POLL_FALLBACK.as_secs());
        self.output.warn(format_args!("{error:#}: looking every {seconds} s instead"));
        self.start(Some(POLL_FALLBACK))
    }

    /// Indexes whenever something changed, until Ctrl-C.
    fn follow(&mut self, mut watch: FolderWatch) -> anyhow::Result<()> {
        loop {
            let next = self.pass(&mut watch)?;
            match watch.wait(&progress::interrupted, next) {
                Ok(Wake::Cancelled) => return Ok(()),
                Ok(Wake::Changed | Wake::Due) => {}
                Err(error) => watch = self.fall_back(error),
            }
        }
    }

    /// Brings the database up to date, and says when to try again at the latest.
    fn pass(&mut self, watch: &mut FolderWatch) -> anyhow::Result<Option<Instant>> {
        let start = Instant::now();
        let opened = self.open();
        let indexed = opened.and_then(|mut database| {
            if let Some(detector) = &self.detector {
                database = database.with_detector(Arc::clone(detector));
            }
            let report = index::index(&database, &self.folders, &self.options, self.output)?;
            watch.set_volumes(database.volumes()?);
            Ok(report)
        });
        match indexed {
            Ok(report) => {
                self.told = false;
                let unsettled = report.unsettled > 0;
                self.say(report)?;
                // A file that is written for hours is no reason to look all the time.
                let pause = UNSETTLED_FOR.max(start.elapsed() * 4);
                Ok(unsettled.then(|| Instant::now() + pause))
            }
            Err(error) if passes(&error) => {
                self.tell(&error);
                Ok(Some(Instant::now() + RETRY))
            }
            Err(error) => Err(error),
        }
    }

    /// Opens the database for the network that serves now.
    fn open(&mut self) -> anyhow::Result<Database> {
        let serving = store::serving_network(&self.directory).map_err(Error::from)?;
        if serving != self.serving {
            self.encoder = networks::serving(&self.directory)?;
            self.serving = serving;
        }
        Ok(Database::open(&self.directory, Arc::clone(&self.encoder))?)
    }

    /// Says once that the database or a folder cannot be had at the moment.
    fn tell(&mut self, error: &(impl std::fmt::Display + ?Sized)) {
        if !std::mem::replace(&mut self.told, true) {
            self.output.note(format_args!("waiting: {error:#}"));
        }
    }

    /// One line for what a pass changed, and none for one that changed nothing.
    fn say(&mut self, report: IngestReport) -> anyhow::Result<()> {
        let (output, before) = (self.output, &self.last);
        let is_first = before.elapsed.is_zero();
        let new_failures: Vec<_> =
            report.failed.iter().filter(|failure| !before.failed.contains(failure)).collect();
        let changes = index::changes(&report, new_failures.len());
        let same_places = report.offline == before.offline;
        if output.json {
            if is_first || !changes.is_empty() || !same_places {
                output.object(&report)?;
            }
        } else {
            if !changes.is_empty() {
                let seconds = report.elapsed.as_secs_f64();
                output.line(format!("{} in {seconds:.1} s", changes.join(", ")))?;
            }
            let moved = |here: &[PathBuf], there: &[PathBuf]| -> Vec<PathBuf> {
                here.iter().filter(|place| !there.contains(place)).cloned().collect()
            };
            for place in moved(&report.offline, &before.offline) {
                output.line(format!("{} is offline", shown(&place)))?;
            }
            for place in moved(&before.offline, &report.offline) {
                output.line(format!("{} is back", shown(&place)))?;
            }
            if is_first {
                output.note(format_args!("watching {}", list(&self.folders)));
            }
        }
        for failure in new_failures {
            output.warn(format_args!("cannot read {}: {}", shown(&failure.path), failure.reason));
        }
        self.last = report;
        Ok(())
    }
}

fn list(folders: &[PathBuf]) -> String {
    let names: Vec<String> = folders.iter().map(|folder| shown(Path::new(folder))).collect();
    names.join(", ")
}

/// Whether an error is one of those that go away by themselves: another process
/// has the database, or the drive with the database or the images is unplugged.
fn passes(error: &anyhow::Error) -> bool {
    matches!(
        error.downcast_ref::<Error>(),
        Some(
            Error::Store(
                StoreError::Locked { .. } | StoreError::NotFound { .. } | StoreError::Io { .. }
            ) | Error::Ingest(IngestError::Folder { .. })
                | Error::File { .. }
        )
    )
}
