//! Indexing jobs: one at a time, on a thread of its own, with progress for whoever asks.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use tokio::sync::watch;

use super::app::App;
use super::problem::{Problem, chain};
use super::wire::job::{Changes, Job, JobState};
use crate::database::GraphPolicy;
use crate::error::Error;
use crate::ingest::Control;

/// Jobs that are remembered.
const JOBS_KEPT: usize = 20;

/// The jobs of a server, the oldest first.
#[derive(Default)]
pub(super) struct Jobs(Mutex<Vec<Arc<Entry>>>);

/// A job.
pub(super) struct Entry {
    id: u64,
    job: watch::Sender<Job>,
    cancelled: AtomicBool,
}

impl Entry {
    /// How far it is now, and whenever that changes.
    pub(super) fn subscribe(&self) -> watch::Receiver<Job> {
        self.job.subscribe()
    }

    /// How far it is.
    pub(super) fn now(&self) -> Job {
        self.job.borrow().clone()
    }

    /// Asks it to end early.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    fn has_ended(&self) -> bool {
        self.job.borrow().state.has_ended()
    }

    fn end(&self, state: JobState) {
        self.job.send_modify(|job| job.state = state);
    }
}

impl Jobs {
    /// Begins to index.
    ///
    /// # Errors
    /// A conflict when a job is running.
    pub(super) fn begin(&self, app: &Arc<App>) -> Result<Job, Problem> {
        let mut entries = self.lock();
        if entries.last().is_some_and(|entry| !entry.has_ended()) || app.is_stopping() {
            let detail = "a job is running already: see /v1/jobs";
            return Err(Problem::new(StatusCode::CONFLICT, "job-running", detail));
        }
        let id = entries.last().map_or(1, |entry| entry.id + 1);
        let job = watch::Sender::new(Job::new(id));
        let entry = Arc::new(Entry { id, job, cancelled: AtomicBool::new(false) });
        entries.push(Arc::clone(&entry));
        let surplus = entries.len().saturating_sub(JOBS_KEPT);
        entries.drain(..surplus);
        let first = entry.now();
        let app = Arc::clone(app);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = work(&app, &entry) {
                let cause = chain(&error);
                (app.options.on_failure)(&cause);
                entry
                    .job
                    .send_modify(|job| job.reason = Some("see the log of the server".to_owned()));
                entry.end(JobState::Failed);
            }
        });
        Ok(first)
    }

    /// All that are remembered, the newest first.
    pub(super) fn all(&self) -> Vec<Job> {
        self.lock().iter().rev().map(|entry| entry.now()).collect()
    }

    /// One of them.
    pub(super) fn get(&self, id: u64) -> Option<Arc<Entry>> {
        self.lock().iter().find(|entry| entry.id == id).cloned()
    }

    /// Waits until all have ended.
    pub(super) async fn wait(&self) {
        let entries = self.lock().clone();
        for entry in entries {
            // The entry holds the sender.
            let _ = entry.subscribe().wait_for(|job| job.state.has_ended()).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Entry>>> {
        // The list is whole between any two calls on it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(app: &App, entry: &Entry) -> Result<(), Error> {
    let roots = app.database.roots()?.into_iter().map(|root| root.path);
    let mut folders: Vec<PathBuf> = roots.collect();
    if folders.is_empty() {
        folders.push(app.options.folder.clone());
    }
    let cancelled = || entry.cancelled.load(Ordering::Relaxed) || app.is_stopping();
    let control = Control {
        cancelled: &cancelled,
        on_progress: &|progress| entry.job.send_modify(|job| job.note(progress)),
    };
    let report = app.database.index(&folders, &app.options.index, control)?;
    if !report.interrupted {
        entry.end(JobState::Finishing);
        app.database.update_graph(GraphPolicy::Auto, &cancelled, &|_, _, _| ())?;
    }
    let state = if report.interrupted { JobState::Stopped } else { JobState::Done };
    entry.job.send_modify(|job| {
        job.changes = Some(Changes::of(&report));
        job.failed = report.failed.len() as u64;
        job.state = state;
    });
    Ok(())
}
