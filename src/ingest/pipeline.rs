//! The stages of a run and the bounded queues between them.
//!
//! ```text
//! scan (1 thread) --jobs--> read (n threads) --outcomes--> commit (caller's thread)
//!                              ^------------ tokens -----------'
//! ```
//! A reader takes a token before a job, and committing gives it back. So the
//! number of decoded images in memory has a bound, though outcomes are put back
//! into the order of the jobs: the oldest job always holds a token.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::commit::Committer;
use super::missing;
use super::read::{Done, Outcome, Reader};
use super::report::{Failure, IngestReport, Progress};
use super::scan::{self, Found, FoundFile, Scan};
use super::{Control, IndexOptions, IngestError, Target};
use crate::imaging::READER_VERSION;
use crate::record::{Location, LocationRecord, LocationState};
use crate::store::StoreError;

/// Files being read or waiting for their batch, at most: 0.3 MB each once decoded
/// and resized. Several batches, so that reading goes on while one is embedded.
const WINDOW: usize = 64;

/// A file to be read, numbered in the order of the scan.
struct Job {
    number: u64,
    file: FoundFile,
    /// Set when the file need not be read.
    known: Option<Outcome>,
}

/// What the threads of a run share.
struct Shared<'a> {
    target: Target<'a>,
    control: Control<'a>,
    /// Set when the run ends early, for whatever reason.
    stop: AtomicBool,
    queued: AtomicU64,
    unchanged: AtomicU64,
    scanned: AtomicBool,
}

impl Shared<'_> {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed) || (self.control.cancelled)()
    }
}

/// Indexes folders: new and changed files are read, embedded and stored.
///
/// Folders are absolute paths. The run is deterministic but for its timing: the
/// same files give the same image numbers and embeddings.
///
/// # Errors
/// [`IngestError`]; whatever was committed before stays.
pub fn run(
    target: Target<'_>,
    folders: &[PathBuf],
    options: &IndexOptions,
    control: Control<'_>,
) -> Result<IngestReport, IngestError> {
    let start = Instant::now();
    let shared = Shared {
        target,
        control,
        stop: AtomicBool::new(false),
        queued: AtomicU64::new(0),
        unchanged: AtomicU64::new(0),
        scanned: AtomicBool::new(false),
    };
    let reader = Reader::new(target, options);
    let failure = Mutex::new(None);
    // Jobs are a path each; a bound here would only hide the total from the progress bar.
    let (job_sender, job_receiver) = crossbeam_channel::unbounded();
    let (done_sender, done_receiver) = crossbeam_channel::bounded(WINDOW);
    let (token_sender, token_receiver) = crossbeam_channel::bounded(WINDOW);
    let (scan, mut report) = std::thread::scope(|scope| {
        let (shared, reader, failure) = (&shared, &reader, &failure);
        let scan = scope.spawn(move || {
            let scan = scan_folders(shared, folders, options, &job_sender);
            shared.scanned.store(true, Ordering::Relaxed);
            scan
        });
        for _ in 0..options.threads.max(1) {
            let (jobs, done) = (job_receiver.clone(), done_sender.clone());
            let tokens: Receiver<()> = token_receiver.clone();
            scope.spawn(move || {
                if let Err(error) = read_jobs(shared, reader, &jobs, &tokens, &done) {
                    shared.stop.store(true, Ordering::Relaxed);
                    failure.lock().map(|mut slot| *slot = Some(error)).unwrap_or_default();
                }
            });
        }
        drop((job_receiver, done_sender, token_receiver));
        let report = commit_in_order(shared, &done_receiver, token_sender);
        shared.stop.store(report.is_err() || shared.stopped(), Ordering::Relaxed);
        drop(done_receiver);
        let scan = scan.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok::<_, IngestError>((scan, report?))
    })?;
    if let Some(error) = failure.into_inner().unwrap_or_default() {
        return Err(error.into());
    }
    report.interrupted = shared.stopped();
    report.unchanged += shared.unchanged.load(Ordering::Relaxed);
    missing::settle(target, &scan, &mut report)?;
    report.failed.extend(scan.failures);
    report.failed.sort_by(|a, b| a.path.cmp(&b.path));
    report.other_files = scan.other_files;
    report.links_skipped = scan.links;
    report.elapsed = start.elapsed();
    Ok(report)
}

fn scan_folders(
    shared: &Shared<'_>,
    folders: &[PathBuf],
    options: &IndexOptions,
    jobs: &Sender<Job>,
) -> Result<Scan, IngestError> {
    let mut scan = Scan::default();
    let mut number = 0;
    let home = shared.target.home;
    for folder in folders {
        let mut any_image = false;
        for found in scan::walk(folder, home, &options.walk)? {
            if shared.stopped() {
                return Ok(scan);
            }
            match found {
                Found::Other => scan.other_files += 1,
                Found::Link => scan.links += 1,
                Found::Unreadable { path, reason } => {
                    let path = path.unwrap_or_else(|| folder.clone());
                    scan.unreadable.push(Location::of(&path, home));
                    scan.failures.push(Failure { path, reason });
                }
                Found::Image(file) => {
                    any_image = true;
                    // Folders given twice, or one inside the other, are walked twice.
                    if scan.seen.insert(Scan::digest(&file.location)) {
                        plan(shared, &mut scan, &mut number, file, jobs)?;
                    }
                }
            }
        }
        scan.folders.push((Location::of(folder, home), any_image));
    }
    scan.complete = true;
    Ok(scan)
}

/// Decides from the file's stamp alone whether it has to be read.
fn plan(
    shared: &Shared<'_>,
    scan: &mut Scan,
    number: &mut u64,
    file: FoundFile,
    jobs: &Sender<Job>,
) -> Result<(), StoreError> {
    let known = match shared.target.store.location(&file.location)? {
        Some(LocationRecord { state, stamp }) if stamp == file.stamp => match state {
            LocationState::Present(id) if has_embedding(shared, id)? => {
                shared.unchanged.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            LocationState::Missing(id) if has_embedding(shared, id)? => Some(Outcome::Known(id)),
            LocationState::Failed { reason, reader_version }
                if reader_version == READER_VERSION =>
            {
                scan.failures.push(Failure { path: file.path, reason });
                return Ok(());
            }
            _ => None,
        },
        _ => None,
    };
    shared.queued.fetch_add(1, Ordering::Relaxed);
    // Nobody receives any more when the run has ended early.
    let _ = jobs.send(Job { number: *number, file, known });
    *number += 1;
    Ok(())
}

fn has_embedding(shared: &Shared<'_>, id: crate::record::ImageId) -> Result<bool, StoreError> {
    shared.target.store.has_embedding(shared.target.space, id)
}

fn read_jobs(
    shared: &Shared<'_>,
    reader: &Reader<'_>,
    jobs: &Receiver<Job>,
    tokens: &Receiver<()>,
    done: &Sender<(u64, Done)>,
) -> Result<(), StoreError> {
    while tokens.recv().is_ok() {
        let Ok(job) = jobs.recv() else { return Ok(()) };
        if shared.stopped() {
            return Ok(());
        }
        let (stamp, outcome) = match job.known {
            Some(outcome) => (job.file.stamp, outcome),
            None => reader.read(&job.file)?,
        };
        let FoundFile { path, location, .. } = job.file;
        if done.send((job.number, Done { location, path, stamp, outcome })).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Commits outcomes in the order of their jobs until all readers have ended.
fn commit_in_order(
    shared: &Shared<'_>,
    done: &Receiver<(u64, Done)>,
    tokens: Sender<()>,
) -> Result<IngestReport, IngestError> {
    for _ in 0..WINDOW {
        let _ = tokens.try_send(());
    }
    let mut committer = Committer::new(shared.target);
    let mut waiting = BTreeMap::new();
    let mut next = 0;
    loop {
        match done.recv_timeout(Duration::from_millis(100)) {
            Ok((number, outcome)) => {
                waiting.insert(number, outcome);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => break,
        }
        while let Some(outcome) = waiting.remove(&next) {
            committer.add(outcome)?;
            next += 1;
            let _ = tokens.try_send(());
        }
        (shared.control.on_progress)(&Progress {
            scanned: shared.scanned.load(Ordering::Relaxed),
            queued: shared.queued.load(Ordering::Relaxed),
            done: next,
            unchanged: shared.unchanged.load(Ordering::Relaxed),
            failed: committer.failures(),
        });
    }
    committer.finish()
}
