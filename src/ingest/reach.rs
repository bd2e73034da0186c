//! Which places cannot be reached now: unplugged drives, unmounted shares.
//!
//! What lies there is *offline*: it may be as it was, so nothing is concluded
//! from not seeing it. The rule is in `docs/guide.md`.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::volumes;
use crate::store::Roots;

/// Why a place cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Offline {
    /// The folder is not there, or cannot be listed.
    Absent,
    /// No file system is mounted where one was.
    NotMounted,
    /// The folder is empty, as the one that a drive was mounted on.
    Empty,
}

/// Whether a file can be opened now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileState {
    /// There is a file.
    There,
    /// Its place cannot be reached now.
    Offline,
    /// Its place can be reached and the file is not there.
    Gone,
}

/// The places of a database that cannot be reached, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    offline: Vec<(PathBuf, Offline)>,
}

impl Reach {
    /// Looks at every root and volume of a database.
    ///
    /// `home` is what locations are relative to, `directory` the database's own:
    /// a folder that holds it is there.
    pub fn now(roots: &Roots, home: &Path, directory: &Path) -> Self {
        let holds_database = |place: &Path| directory.starts_with(place);
        let volumes = roots.volumes.iter().map(|volume| volume.to_path(home));
        let volumes = volumes
            .filter(|volume| !holds_database(volume) && !volumes::is_mounted(volume))
            .map(|volume| (volume, Offline::NotMounted));
        let mut offline: Vec<_> = volumes.collect();
        for root in roots.folders.iter().map(|root| root.to_path(home)) {
            if holds_database(&root) || offline.iter().any(|(place, _)| root.starts_with(place)) {
                continue;
            }
            match std::fs::read_dir(&root).map(|mut entries| entries.next().is_some()) {
                Ok(true) => {}
                Ok(false) => offline.push((root, Offline::Empty)),
                Err(_) => offline.push((root, Offline::Absent)),
            }
        }
        Self { offline }
    }

    /// Why what lies at a path cannot be reached; `None` when its place can be.
    pub fn offline(&self, path: &Path) -> Option<Offline> {
        self.place_above(path).map(|(_, why)| *why)
    }

    /// The folder or volume that cannot be reached and that a path lies in.
    pub(super) fn offline_place(&self, path: &Path) -> Option<&Path> {
        self.place_above(path).map(|(place, _)| place.as_path())
    }

    /// Looks whether a file is there now.
    pub fn file(&self, path: &Path) -> FileState {
        match (path.symlink_metadata(), self.offline(path)) {
            (Ok(_), _) => FileState::There,
            (Err(_), Some(_)) => FileState::Offline,
            (Err(_), None) => FileState::Gone,
        }
    }

    fn place_above(&self, path: &Path) -> Option<&(PathBuf, Offline)> {
        self.offline.iter().find(|(place, _)| path.starts_with(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Location;

    #[test]
    fn absent_empty_and_unmounted_places_are_offline_and_the_database_s_own_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path();
        let directory = home.join("with db/.lookalike");
        for name in ["with db", "full", "empty", "usb/photos"] {
            std::fs::create_dir_all(home.join(name)).unwrap();
        }
        std::fs::write(home.join("full/a.jpg"), b"x").unwrap();
        std::fs::write(home.join("usb/photos/b.jpg"), b"x").unwrap();
        let location = |name: &str| Location::of(&home.join(name), home);
        let mut roots = Roots::default();
        for name in ["with db", "full", "empty", "absent", "usb/photos"] {
            roots.folders.insert(location(name));
        }
        roots.volumes.insert(location("usb"));
        let reach = Reach::now(&roots, home, &directory);
        let why = |name: &str| reach.offline(&home.join(name));
        assert_eq!(why("with db/a.jpg"), None);
        assert_eq!(why("full/a.jpg"), None);
        assert_eq!(why("empty/a.jpg"), Some(Offline::Empty));
        assert_eq!(why("absent/a.jpg"), Some(Offline::Absent));
        assert_eq!(why("usb/photos/a.jpg"), Some(Offline::NotMounted));
        assert_eq!(reach.file(&home.join("full/a.jpg")), FileState::There);
        assert_eq!(reach.file(&home.join("full/c.jpg")), FileState::Gone);
        assert_eq!(reach.file(&home.join("empty/c.jpg")), FileState::Offline);
    }
}
