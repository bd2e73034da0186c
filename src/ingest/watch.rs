//! Notices that something changed below folders, and waits until it is quiet again.
//!
//! No change is remembered by itself: all of them together mean "look again". So
//! a burst of thousands costs what one does, and a queue of the system that ran
//! over loses nothing.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, Event, ModifyKind, RemoveKind};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::scan::{self, Found};
use super::{WalkOptions, volumes};

/// Changes this long after the last one are another batch.
const QUIET: Duration = Duration::from_millis(500);

/// A batch is not held back longer than this, however many changes come.
const DELAY_MAX: Duration = Duration::from_secs(5);

/// How often a waiting thread looks up.
const TICK: Duration = Duration::from_millis(100);

/// How often is looked whether a folder is still the same one: no event tells
/// that another file system was mounted over it.
const IDENTITY_EVERY: Duration = Duration::from_secs(1);

/// Why the system does not report changes.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WatchError {
    /// The system's limit on watched folders is reached.
    #[error(
        "the system watches no more folders (on Linux, fs.inotify.max_user_watches is the limit)"
    )]
    TooManyFolders,
    /// Another refusal.
    #[error("the system does not report changes")]
    System {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a wait ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// Something changed, or may have.
    Changed,
    /// The time that was asked for has come.
    Due,
    /// The caller wants to end.
    Cancelled,
}

/// A watch over some folders, which need not be there.
pub struct FolderWatch {
    scope: Scope,
    source: Source,
}

/// What is watched.
struct Scope {
    folders: Vec<PathBuf>,
    /// Places at or below them where volumes are mounted at times.
    volumes: Vec<PathBuf>,
    /// The database directory, whose changes are our own.
    directory: PathBuf,
    walk: WalkOptions,
}

enum Source {
    Events(Events),
    Poll(Poll),
}

impl FolderWatch {
    /// Watches folders through the system's reports.
    ///
    /// Folders are absolute paths whose links are resolved, as is `directory`,
    /// the database's own.
    ///
    /// # Errors
    /// [`WatchError`]; polling works always.
    pub fn events(
        folders: Vec<PathBuf>,
        directory: PathBuf,
        walk: WalkOptions,
    ) -> Result<Self, WatchError> {
        let scope = Scope { folders, volumes: Vec::new(), directory, walk };
        Ok(Self { source: Source::Events(Events::start(&scope)?), scope })
    }

    /// Watches folders by looking at each file's size and time at an interval, as
    /// network drives need it.
    ///
    /// Costs a walk through the folders now and at each interval.
    pub fn poll(
        folders: Vec<PathBuf>,
        directory: PathBuf,
        walk: WalkOptions,
        interval: Duration,
    ) -> Self {
        let scope = Scope { folders, volumes: Vec::new(), directory, walk };
        Self { source: Source::Poll(Poll::start(&scope, interval)), scope }
    }

    /// Names the places where volumes are mounted at times. A new one counts as a change.
    pub fn set_volumes(&mut self, volumes: Vec<PathBuf>) {
        self.scope.volumes = volumes;
    }

    /// Waits for a change and for a quiet moment after it, or until a time.
    ///
    /// # Errors
    /// [`WatchError`] when the system stops reporting changes.
    pub fn wait(
        &mut self,
        cancelled: &dyn Fn() -> bool,
        until: Option<Instant>,
    ) -> Result<Wake, WatchError> {
        loop {
            if cancelled() {
                return Ok(Wake::Cancelled);
            }
            let changed = match &mut self.source {
                Source::Events(events) => events.look(&self.scope)?,
                Source::Poll(poll) => poll.look(&self.scope),
            };
            if changed {
                return Ok(Wake::Changed);
            }
            if until.is_some_and(|until| until <= Instant::now()) {
                return Ok(Wake::Due);
            }
            std::thread::sleep(TICK);
        }
    }
}

/// What tells a folder from another one at the same path; `None` when there is none.
type Identity = Option<(u64, u64)>;

/// The reports of the system.
struct Events {
    /// Held for its reports, which end when it is dropped.
    _watcher: RecommendedWatcher,
    pulse: Arc<Pulse>,
    identities: Vec<Identity>,
    identities_at: Instant,
}

impl Events {
    fn start(scope: &Scope) -> Result<Self, WatchError> {
        let pulse = Arc::new(Pulse::default());
        let identities = identities(scope);
        let (beat, directory) = (Arc::clone(&pulse), scope.directory.clone());
        let on_event = move |event: notify::Result<Event>| {
            if event.map_or(true, |event| concerns_images(&event, &directory)) {
                beat.beat();
            }
        };
        let config = notify::Config::default().with_follow_symlinks(scope.walk.follow_links);
        let mut watcher = RecommendedWatcher::new(on_event, config).map_err(watch_error)?;
        for folder in scope.folders.iter().filter(|folder| folder.is_dir()) {
            match watcher.watch(folder, RecursiveMode::Recursive) {
                // It went away this moment; its identity will tell when it is back.
                Err(_) if !folder.is_dir() => {}
                watched => watched.map_err(watch_error)?,
            }
        }
        Ok(Self { _watcher: watcher, pulse, identities, identities_at: Instant::now() })
    }

    /// Whether there were changes and it is quiet now.
    fn look(&mut self, scope: &Scope) -> Result<bool, WatchError> {
        if self.identities_at.elapsed() >= IDENTITY_EVERY {
            self.identities_at = Instant::now();
            if identities(scope) != self.identities {
                *self = Self::start(scope)?;
                self.pulse.beat();
            }
        }
        Ok(self.pulse.take_when_quiet())
    }
}

fn identities(scope: &Scope) -> Vec<Identity> {
    scope.folders.iter().chain(&scope.volumes).map(|folder| volumes::identity(folder)).collect()
}

fn watch_error(error: notify::Error) -> WatchError {
    match error.kind {
        notify::ErrorKind::MaxFilesWatch => WatchError::TooManyFolders,
        _ => WatchError::System { source: error.into() },
    }
}

/// Whether an event can mean another set of images.
fn concerns_images(event: &Event, directory: &Path) -> bool {
    // Files of which nothing but the name tells what they are; folders come with other kinds.
    let of_a_file = match event.kind {
        // Our own reading is an access too.
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => true,
        EventKind::Access(_) => return false,
        EventKind::Create(CreateKind::File) | EventKind::Remove(RemoveKind::File) => true,
        EventKind::Modify(ModifyKind::Data(_) | ModifyKind::Metadata(_)) => true,
        _ => false,
    };
    let concerns = |path: &PathBuf| {
        !path.starts_with(directory)
            && !scan::is_in_excluded_folder(path)
            && (!of_a_file || scan::may_name_an_image(path))
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(concerns)
}

/// When changes came that nobody has looked at yet.
#[derive(Default)]
struct Pulse(Mutex<Option<Beats>>);

#[derive(Clone, Copy)]
struct Beats {
    first: Instant,
    last: Instant,
}

impl Pulse {
    fn beat(&self) {
        let now = Instant::now();
        let mut beats = self.beats();
        let first = beats.map_or(now, |beats| beats.first);
        *beats = Some(Beats { first, last: now });
    }

    fn take_when_quiet(&self) -> bool {
        let mut beats = self.beats();
        let due = beats.is_some_and(|beats| {
            beats.last.elapsed() >= QUIET || beats.first.elapsed() >= DELAY_MAX
        });
        if due {
            *beats = None;
        }
        due
    }

    fn beats(&self) -> MutexGuard<'_, Option<Beats>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A look at every file at an interval.
struct Poll {
    interval: Duration,
    next: Instant,
    fingerprint: blake3::Hash,
}

impl Poll {
    fn start(scope: &Scope, interval: Duration) -> Self {
        let fingerprint = fingerprint(scope);
        Self { interval, next: Instant::now() + interval, fingerprint }
    }

    fn look(&mut self, scope: &Scope) -> bool {
        if Instant::now() < self.next {
            return false;
        }
        let found = fingerprint(scope);
        // Counted from the end of the walk: a slow drive gets its rest too.
        self.next = Instant::now() + self.interval;
        std::mem::replace(&mut self.fingerprint, found) != found
    }
}

/// A digest over name, size and time of every image, in the order of the walk.
fn fingerprint(scope: &Scope) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for folder in &scope.folders {
        hasher.update(folder.as_os_str().as_encoded_bytes());
        let Ok(walk) = scan::walk(folder, folder, &scope.walk) else { continue };
        for found in walk {
            if let Found::Image(file) = found {
                hasher.update(file.location.as_bytes());
                hasher.update(&[0]);
                hasher.update(&file.stamp.size_bytes.to_le_bytes());
                hasher.update(&file.stamp.modified_ns.to_le_bytes());
            }
        }
    }
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn watch(folder: &Path, poll: bool) -> FolderWatch {
        let directory = folder.join(".lookalike");
        std::fs::create_dir(&directory).unwrap();
        let (folders, walk) = (vec![folder.to_owned()], WalkOptions::default());
        match poll {
            true => FolderWatch::poll(folders, directory, walk, Duration::from_millis(50)),
            false => FolderWatch::events(folders, directory, walk).unwrap(),
        }
    }

    fn next(watch: &mut FolderWatch, patience: Duration) -> Wake {
        watch.wait(&|| false, Some(Instant::now() + patience)).unwrap()
    }

    #[test]
    fn a_change_wakes_and_what_is_no_image_does_not() {
        for poll in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let folder = folder.path().canonicalize().unwrap();
            let mut watch = watch(&folder, poll);
            std::fs::create_dir(folder.join("later")).unwrap();
            std::fs::write(folder.join("later/a.jpg"), b"x").unwrap();
            assert_eq!(next(&mut watch, PATIENCE), Wake::Changed, "poll {poll}");
            std::fs::write(folder.join("later/a.jpg"), b"xy").unwrap();
            assert_eq!(next(&mut watch, PATIENCE), Wake::Changed, "poll {poll}");
            std::fs::write(folder.join(".lookalike/MANIFEST.json"), b"x").unwrap();
            std::fs::write(folder.join("log.txt"), b"x").unwrap();
            std::fs::read(folder.join("later/a.jpg")).unwrap();
            assert_eq!(next(&mut watch, 4 * QUIET), Wake::Due, "poll {poll}");
            std::fs::rename(folder.join("later"), folder.join("20.06")).unwrap();
            assert_eq!(next(&mut watch, PATIENCE), Wake::Changed, "poll {poll}");
        }
    }

    #[test]
    fn a_folder_that_goes_and_comes_back_wakes_each_time_and_is_watched_again() {
        for poll in [false, true] {
            let outer = tempfile::tempdir().unwrap();
            let outer = outer.path().canonicalize().unwrap();
            let (folder, away) = (outer.join("usb"), outer.join("away"));
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join("a.jpg"), b"x").unwrap();
            let mut watch = watch(&folder, poll);
            std::fs::rename(&folder, &away).unwrap();
            assert_eq!(next(&mut watch, PATIENCE), Wake::Changed, "poll {poll}");
            std::fs::rename(&away, &folder).unwrap();
            assert_eq!(next(&mut watch, PATIENCE), Wake::Changed, "poll {poll}");
            while next(&mut watch, 3 * IDENTITY_EVERY) == Wake::Changed {}
            std::fs::write(folder.join("b.jpg"), b"x").unwrap();
            assert_eq!(next(&mut watch, PATIENCE), Wake::Changed, "poll {poll}");
        }
    }

    #[test]
    fn a_wait_ends_when_the_caller_wants_to() {
        let folder = tempfile::tempdir().unwrap();
        let mut watch = watch(folder.path(), true);
        assert_eq!(watch.wait(&|| true, None).unwrap(), Wake::Cancelled);
    }
}
