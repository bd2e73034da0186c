//! Where the database of a folder is: beside the images, above them, or in the user's data folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use etcetera::BaseStrategy;

/// Name of the database directory in the folder that it is about.
const DIRECTORY_NAME: &str = ".lookalike";

/// Finds the database for a command about `folder`.
///
/// In this order: what the user named; the nearest `.lookalike` from the folder
/// upwards, as git does; the data folder of the user, for folders that cannot
/// be written.
///
/// # Errors
/// When there is none, or the folder cannot be looked at.
pub(super) fn existing(named: Option<&Path>, folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return absolute(path);
    }
    let folder = absolute(folder)?;
    if let Some(directory) = find(&folder) {
        return Ok(directory);
    }
    bail!(
        "no database in {folder:?} or above it: `lookalike index FOLDER` makes one, \
         `--db PATH` names one elsewhere"
    )
}

/// Finds the database for indexing `folder`, or says where to make it.
///
/// # Errors
/// When the folder cannot be looked at.
pub(super) fn for_indexing(named: Option<&Path>, folder: &Path) -> anyhow::Result<PathBuf> {
    if let Some(path) = named {
        return absolute(path);
    }
    let folder = folder.canonicalize().with_context(|| format!("cannot find {folder:?}"))?;
    if let Some(directory) = find(&folder) {
        return Ok(directory);
    }
    if is_writable(&folder) {
        return Ok(folder.join(DIRECTORY_NAME));
    }
    in_data_folder(&folder).context("the folder cannot be written: use --db PATH")
}

/// The path itself, absolute, with links in its existing part resolved.
///
/// # Errors
/// When the current folder is gone.
pub(super) fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let path = std::path::absolute(path).with_context(|| format!("cannot find {path:?}"))?;
    // A file that is gone still has a folder, whose true path its location starts with.
    Ok(match (path.parent().and_then(|parent| parent.canonicalize().ok()), path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path,
    })
}

/// A path as the user would type it here: relative to the current folder if below it.
pub(super) fn display_path(path: &Path) -> PathBuf {
    let here = std::env::current_dir().and_then(|here| here.canonicalize());
    match here.ok().and_then(|here| path.strip_prefix(here).ok().map(Path::to_owned)) {
        Some(relative) if !relative.as_os_str().is_empty() => relative,
        _ => path.to_owned(),
    }
}

fn find(folder: &Path) -> Option<PathBuf> {
    let beside = folder.ancestors().map(|above| above.join(DIRECTORY_NAME));
    let apart = folder.ancestors().filter_map(in_data_folder);
    beside.chain(apart).find(|directory| directory.is_dir())
}

/// The place for the database of a folder that cannot be written.
fn in_data_folder(folder: &Path) -> Option<PathBuf> {
    let data = etcetera::choose_base_strategy().ok()?.data_dir();
    let digest = blake3::hash(folder.as_os_str().as_encoded_bytes());
    Some(data.join("lookalike").join(&digest.to_hex()[..16]).join(DIRECTORY_NAME))
}

fn is_writable(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_database_upwards_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        assert!(existing(None, &root.join("a/b")).is_err());
        assert_eq!(for_indexing(None, &root.join("a")).unwrap(), root.join("a/.lookalike"));
        std::fs::create_dir(root.join(DIRECTORY_NAME)).unwrap();
        assert_eq!(existing(None, &root.join("a/b")).unwrap(), root.join(DIRECTORY_NAME));
        assert_eq!(for_indexing(None, &root.join("a")).unwrap(), root.join(DIRECTORY_NAME));
        std::fs::create_dir(root.join("a").join(DIRECTORY_NAME)).unwrap();
        assert_eq!(existing(None, &root.join("a/b")).unwrap(), root.join("a/.lookalike"));
    }
}
