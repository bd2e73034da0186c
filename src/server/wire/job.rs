//! Indexing jobs and how far they are.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ingest::{IngestReport, Progress};

/// What to do.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct JobRequest {
    pub(in crate::server) kind: JobKind,
}

/// A kind of job.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum JobKind {
    /// Reads what is new or changed in the known folders.
    Index,
}

/// A job, and how far it is.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Job {
    pub(in crate::server) id: u64,
    pub(in crate::server) kind: JobKind,
    pub(in crate::server) state: JobState,
    /// Files to read that are known so far.
    pub(in crate::server) total: u64,
    /// Files that were read.
    pub(in crate::server) done: u64,
    /// Files that could not be read.
    pub(in crate::server) failed: u64,
    /// Whether all folders have been looked through, so that `total` is final.
    pub(in crate::server) scanned: bool,
    /// What it changed, once it has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) changes: Option<Changes>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) reason: Option<String>,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum JobState {
    /// Files are read.
    Running,
    /// All files are read; the vector graph is brought up to date.
    Finishing,
    Done,
    /// It was stopped before the end; what was done is kept.
    Stopped,
    Failed,
}

impl JobState {
    pub(in crate::server) fn has_ended(self) -> bool {
        matches!(self, Self::Done | Self::Stopped | Self::Failed)
    }
}

/// What an indexing job changed.
#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
pub(in crate::server) struct Changes {
    added: u64,
    changed: u64,
    unchanged: u64,
    moved: u64,
    missing: u64,
}

impl Changes {
    pub(in crate::server) fn of(report: &IngestReport) -> Self {
        Self {
            added: report.added,
            changed: report.changed,
            unchanged: report.unchanged,
            moved: report.moved,
            missing: report.missing,
        }
    }
}

impl Job {
    pub(in crate::server) fn new(id: u64) -> Self {
        Self {
            id,
            kind: JobKind::Index,
            state: JobState::Running,
            total: 0,
            done: 0,
            failed: 0,
            scanned: false,
            changes: None,
            reason: None,
        }
    }

    pub(in crate::server) fn note(&mut self, progress: &Progress) {
        self.total = progress.queued;
        self.done = progress.done;
        self.failed = progress.failed;
        self.scanned = progress.scanned;
    }
}

/// The jobs since the server was started.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Jobs {
    /// The newest first.
    pub(in crate::server) jobs: Vec<Job>,
}
