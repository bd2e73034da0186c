//! The stages of a run and the bounded queues between them.
//!
//! ```text
//! scan (1 thread) --jobs--> work (n + 2 threads) --outcomes--> commit (caller's thread)
//!                              ^------------ tokens -----------'
//! ```
//! A worker does all that one image needs, on one thread: no stage waits for
//! another one's batch, and of an image only its embedding is passed on. A worker
//! takes a token before a job, and committing gives it back. So the number of
//! images on the way has a bound, though outcomes are put back into the order of
//! the jobs: the oldest job always holds a token.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::commit::Committer;
use super::missing;
use super::report::{Failure, IngestReport, Progress};
use super::scan::{self, Found, FoundFile, Scan, ScannedFolder};
use super::work::{Done, Step, Workshop};
use super::{Control, IndexOptions, IngestError, Reach, Target, volumes};
use crate::imaging::READER_VERSION;
use crate::record::{ImageId, Location, LocationRecord, LocationState};
use crate::store::{Roots, StoreError};

/// Files being worked on or waiting for an older one, at most: a large image may
/// take as long as so many of the usual size.
const WINDOW: usize = 64;

/// Workers beyond the number of cores: they read while the others compute, so
/// that a slow disk does not leave a core without work.
const READ_AHEAD: usize = 2;

/// A file to be worked on, numbered in the order of the scan.
pub(super) struct Job {
    pub(super) number: u64,
    pub(super) file: FoundFile,
    /// Set when the file need not be read.
    pub(super) known: Option<ImageId>,
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
    let mut roots = target.store.roots()?;
    let (folders, offline) = take_in(target, &mut roots, folders)?;
    let shared = Shared {
        target,
        control,
        stop: AtomicBool::new(false),
        queued: AtomicU64::new(0),
        unchanged: AtomicU64::new(0),
        scanned: AtomicBool::new(false),
    };
    let workshop = Workshop::new(target, options);
    let failure = Mutex::new(None);
    // Jobs are a path each; a bound here would only hide the total from the progress bar.
    let (job_sender, job_receiver) = crossbeam_channel::unbounded();
    let (done_sender, done_receiver) = crossbeam_channel::bounded(WINDOW);
    let (token_sender, token_receiver) = crossbeam_channel::bounded(WINDOW);
    let (scan, mut report) = std::thread::scope(|scope| {
        let (shared, workshop, failure) = (&shared, &workshop, &failure);
        let (folders, roots) = (&folders, &roots);
        let scan = scope.spawn(move || {
            let scan = scan_folders(shared, folders, options, &job_sender);
            shared.scanned.store(true, Ordering::Relaxed);
            scan
        });
        for _ in 0..options.threads.max(1) + READ_AHEAD {
            let (jobs, done) = (job_receiver.clone(), done_sender.clone());
            let tokens: Receiver<()> = token_receiver.clone();
            scope.spawn(move || {
                let worked = alone(|| work_jobs(shared, workshop, &jobs, &tokens, &done));
                if let Err(error) = worked {
                    shared.stop.store(true, Ordering::Relaxed);
                    failure.lock().map(|mut slot| *slot = Some(error)).unwrap_or_default();
                }
            });
        }
        drop((job_receiver, done_sender, token_receiver));
        let report = commit_in_order(shared, roots, &done_receiver, token_sender);
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
    report.offline = offline;
    let known_volumes = roots.volumes.len();
    roots.volumes.extend(scan.volumes.iter().cloned());
    if roots.volumes.len() > known_volumes {
        target.store.set_roots(&roots)?;
    }
    let reach = Reach::now(&roots, target.home, target.store.directory());
    missing::settle(target, &scan, &reach, &mut report)?;
    report.failed.extend(scan.failures);
    report.failed.sort_by(|a, b| a.path.cmp(&b.path));
    report.unsettled += scan.unsettled;
    report.other_files = scan.other_files;
    report.links_skipped = scan.links;
    report.elapsed = start.elapsed();
    Ok(report)
}

/// Adds folders to the roots, and gives those that can be scanned and the roots
/// among them that are offline.
fn take_in(
    target: Target<'_>,
    roots: &mut Roots,
    folders: &[PathBuf],
) -> Result<(Vec<PathBuf>, Vec<PathBuf>), IngestError> {
    let (home, directory) = (target.home, target.store.directory());
    let reach = Reach::now(roots, home, directory);
    let (offline, online): (Vec<PathBuf>, Vec<PathBuf>) =
        folders.iter().cloned().partition(|folder| reach.offline(folder).is_some());
    let before = roots.clone();
    for folder in &online {
        scan::check_folder(folder)?;
        roots.add(&Location::of(folder, home), home);
        // Of the volume that holds the database it is known anyway that it is there.
        if let Some(volume) = volumes::mount_point(folder)
            && !directory.starts_with(&volume)
        {
            roots.volumes.insert(Location::of(&volume, home));
        }
    }
    if *roots != before {
        target.store.set_roots(roots)?;
    }
    Ok((online, offline))
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
                Found::Volume(place) => scan.volumes.push(place),
                Found::Unreadable { path, reason } => {
                    let path = path.unwrap_or_else(|| folder.clone());
                    scan.unreadable.push(Location::of(&path, home));
                    scan.failures.push(Failure { path, reason });
                }
                Found::Image(file) => {
                    any_image = true;
                    // Folders given twice, or one inside the other, are walked twice.
                    if !scan.seen.insert(Scan::digest(&file.location)) {
                        continue;
                    }
                    if options.unsettled_for.is_some_and(|quiet| file.changed_within(quiet)) {
                        scan.unsettled += 1;
                    } else {
                        plan(shared, &mut scan, &mut number, file, jobs)?;
                    }
                }
            }
        }
        scan.folders.push(ScannedFolder { path: folder.clone(), any_image });
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
            LocationState::Present(id) if shared.target.is_complete(id)? => {
                shared.unchanged.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
            LocationState::Missing(id) if shared.target.is_complete(id)? => Some(id),
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

/// Runs a worker as the only thread of a pool of its own: what it calls must not
/// share its image out over threads that are busy with other images.
fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match rayon::ThreadPoolBuilder::new().num_threads(1).build() {
        Ok(pool) => pool.install(work),
        // Too many threads already: slower, and nothing else.
        Err(_) => work(),
    }
}

fn work_jobs(
    shared: &Shared<'_>,
    workshop: &Workshop<'_>,
    jobs: &Receiver<Job>,
    tokens: &Receiver<()>,
    done: &Sender<(u64, Done)>,
) -> Result<(), StoreError> {
    loop {
        // A job that was put aside has its token already. Whoever gives the turn
        // back comes here next, so none is left behind.
        let (job, turn) = match workshop.next_large() {
            Some((job, turn)) => (job, Some(turn)),
            None => match tokens.recv().ok().and_then(|()| jobs.recv().ok()) {
                Some(job) => (job, None),
                None => return Ok(()),
            },
        };
        if shared.stopped() {
            return Ok(());
        }
        let number = job.number;
        if let Step::Done(outcome) = workshop.work(job, turn)?
            && done.send((number, *outcome)).is_err()
        {
            return Ok(());
        }
    }
}

/// Commits outcomes in the order of their jobs until all readers have ended.
fn commit_in_order(
    shared: &Shared<'_>,
    roots: &Roots,
    done: &Receiver<(u64, Done)>,
    tokens: Sender<()>,
) -> Result<IngestReport, IngestError> {
    for _ in 0..WINDOW {
        let _ = tokens.try_send(());
    }
    let mut committer = Committer::new(shared.target, roots);
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
        while waiting.get(&next).is_some_and(|done: &Done| done.outcome.is_ready()) {
            if let Some(done) = waiting.remove(&next) {
                committer.add(done)?;
            }
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
