//! Where file systems are mounted, as far as the system tells.

use std::path::{Path, PathBuf};

/// The place where the file system of a folder is mounted; `None` where that is unknown.
pub(super) fn mount_point(folder: &Path) -> Option<PathBuf> {
    let device = device(folder)?;
    folder
        .ancestors()
        .take_while(|above| self::device(above) == Some(device))
        .last()
        .map(Path::to_owned)
}

/// Whether another file system begins at this place.
pub(super) fn is_mounted(place: &Path) -> bool {
    match (device(place), place.parent()) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(own), Some(parent)) => device(parent) != Some(own),
    }
}

/// The number of the file system that a folder lies on; it changes from mount to mount.
#[cfg(unix)]
pub(super) fn device(folder: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|metadata| metadata.dev())
}

/// What tells a folder from another one at the same path; `None` when there is none.
#[cfg(unix)]
pub(super) fn identity(folder: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    folder.metadata().ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Only whether there is one, on this system.
#[cfg(not(unix))]
pub(super) fn identity(folder: &Path) -> Option<(u64, u64)> {
    folder.is_dir().then_some((0, 0))
}

/// Not known on this system: what cannot be reached is then known by its absence alone.
#[cfg(not(unix))]
pub(super) fn device(_folder: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn the_system_s_own_mounts_are_seen() {
        assert!(is_mounted(Path::new("/proc")));
        assert!(is_mounted(Path::new("/")));
        assert!(!is_mounted(Path::new("/proc/self")));
        assert_eq!(mount_point(Path::new("/proc/sys")), Some(PathBuf::from("/proc")));
    }

    #[test]
    fn a_folder_inside_another_and_one_that_is_not_there_are_no_mounts() {
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        assert!(!is_mounted(&inside));
        assert_eq!(mount_point(&inside), None);
        std::fs::create_dir(&inside).unwrap();
        assert!(!is_mounted(&inside));
        assert_eq!(mount_point(&inside), mount_point(folder.path()));
    }
}
