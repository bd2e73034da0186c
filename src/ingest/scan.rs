//! Finds the files that may be images, in the order of their names.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ignore::overrides::OverrideBuilder;
use ignore::{DirEntry, Walk, WalkBuilder};

use super::report::Failure;
use super::{IngestError, WalkOptions, volumes};
use crate::imaging;
use crate::record::{FileStamp, Location};
use crate::store::is_database;

/// Name of the file with our own ignore rules, in the syntax of `.gitignore`.
const IGNORE_FILE: &str = ".lookalikeignore";

/// Folders in which systems and programs keep copies and rubbish, never photos.
const EXCLUDED_FOLDERS: &[&str] = &[
    ".git",
    ".lookalike",
    "@eaDir",
    "node_modules",
    "System Volume Information",
    "$RECYCLE.BIN",
    "#recycle",
    "lost+found",
];

/// Names that end so are images. Formats that cannot be read (JPEG 2000, Photoshop) are among
/// them: such a photo belongs into the report, not under the carpet.
const EXTENSIONS: &[&str] = &[
    "jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "dib", "tif", "tiff", "heic",
    "heif", "hif", "avif", "avifs", "jxl", "jp2", "j2k", "psd", "psb", "dng", "cr2", "cr3", "nef",
    "nrw", "arw", "sr2", "srf", "raf", "orf", "rw2", "rwl", "pef", "srw", "3fr", "dcr", "erf",
    "gpr", "iiq", "kdc", "mef", "mos", "mrw", "x3f",
];

/// Bytes of a file without an extension that are looked at.
const START_BYTES: usize = 64;

/// A file that may be an image.
#[derive(Debug)]
pub(super) struct FoundFile {
    pub(super) path: PathBuf,
    pub(super) location: Location,
    pub(super) stamp: FileStamp,
}

/// What the walk came across.
#[derive(Debug)]
pub(super) enum Found {
    /// A file that may be an image.
    Image(FoundFile),
    /// A file that is none.
    Other,
    /// A symbolic link that is not followed.
    Link,
    /// A folder that another file system is mounted on.
    Volume(Location),
    /// A file or folder that cannot be looked at; `path` when it is known.
    Unreadable { path: Option<PathBuf>, reason: String },
}

/// What the scan learned besides the jobs.
#[derive(Default)]
pub(super) struct Scan {
    /// Digests of the locations that were seen.
    pub(super) seen: HashSet<[u8; 16]>,
    /// Places below the scanned folders where another file system is mounted.
    pub(super) volumes: Vec<Location>,
    /// Places whose content could not be listed.
    pub(super) unreadable: Vec<Location>,
    pub(super) folders: Vec<ScannedFolder>,
    pub(super) failures: Vec<Failure>,
    pub(super) other_files: u64,
    pub(super) links: u64,
    /// Files that were changed too shortly ago to be read.
    pub(super) unsettled: u64,
    /// Whether every folder was walked to its end.
    pub(super) complete: bool,
}

/// A folder that was walked to its end.
pub(super) struct ScannedFolder {
    pub(super) path: PathBuf,
    /// Whether any image was seen in it.
    pub(super) any_image: bool,
}

impl FoundFile {
    /// Whether the file was changed within a time before now, or will have been:
    /// the clock of a network drive may go ahead of ours.
    pub(super) fn changed_within(&self, time: Duration) -> bool {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let away_ns = since_epoch.as_nanos().abs_diff(self.stamp.modified_ns.max(0) as u128);
        away_ns < time.as_nanos()
    }
}

impl Scan {
    /// 128 bits of a location: a set of them is small, and never collides in practice.
    pub(super) fn digest(location: &Location) -> [u8; 16] {
        let mut digest = [0; 16];
        digest.copy_from_slice(&blake3::hash(location.as_bytes()).as_bytes()[..16]);
        digest
    }
}

/// Walks one folder.
///
/// # Errors
/// [`IngestError::Folder`], [`IngestError::NotAFolder`], [`IngestError::Glob`].
pub(super) fn walk<'a>(
    folder: &Path,
    home: &'a Path,
    options: &WalkOptions,
) -> Result<impl Iterator<Item = Found> + use<'a>, IngestError> {
    let walk = builder(folder, options)?;
    let device = volumes::device(folder);
    Ok(walk.filter_map(move |entry| match entry {
        Ok(entry) if entry.depth() == 0 => None,
        Ok(entry) => classify(&entry, home, device),
        Err(error) => Some(unreadable(&error)),
    }))
}

/// Size and modification time of a file.
pub(super) fn stamp_of(metadata: &Metadata) -> FileStamp {
    let since_epoch =
        metadata.modified().ok().and_then(|time| match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).ok(),
            Err(before) => i64::try_from(before.duration().as_nanos()).ok().map(|ns| -ns),
        });
    FileStamp { size_bytes: metadata.len(), modified_ns: since_epoch.unwrap_or(0) }
}

/// Checks that a folder can be listed. The walk reports that too, but as one bad
/// entry among others.
///
/// # Errors
/// [`IngestError::Folder`], [`IngestError::NotAFolder`].
pub(super) fn check_folder(folder: &Path) -> Result<(), IngestError> {
    let unreadable = |source| IngestError::Folder { path: folder.to_owned(), source };
    if !std::fs::metadata(folder).map_err(unreadable)?.is_dir() {
        return Err(IngestError::NotAFolder { path: folder.to_owned() });
    }
    std::fs::read_dir(folder).map_err(unreadable)?;
    Ok(())
}

fn builder(folder: &Path, options: &WalkOptions) -> Result<Walk, IngestError> {
    check_folder(folder)?;
    let mut overrides = OverrideBuilder::new(folder);
    for pattern in &options.exclude {
        let glob_error = |source| IngestError::Glob { pattern: pattern.clone(), source };
        overrides.add(&format!("!{pattern}")).map_err(glob_error)?;
    }
    let overrides = overrides
        .build()
        .map_err(|source| IngestError::Glob { pattern: options.exclude.join(" "), source })?;
    let mut builder = WalkBuilder::new(folder);
    builder
        .standard_filters(!options.no_ignore)
        .hidden(!options.hidden)
        // Rules above the folder are not about it: who names a folder means it.
        .parents(false)
        .git_global(false)
        .follow_links(options.follow_links)
        .max_depth(options.depth_max)
        .overrides(overrides)
        .sort_by_file_name(|a, b| a.cmp(b))
        .filter_entry(|entry| entry.depth() == 0 || !is_excluded(entry));
    if !options.no_ignore {
        builder.add_custom_ignore_filename(IGNORE_FILE);
    }
    Ok(builder.build())
}

fn is_excluded(entry: &DirEntry) -> bool {
    let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
    // The thumbnails of a database are no photos.
    is_folder
        && (EXCLUDED_FOLDERS.iter().any(|name| entry.file_name() == *name)
            || is_database(entry.path()))
}

fn classify(entry: &DirEntry, home: &Path, device: Option<u64>) -> Option<Found> {
    let kind = entry.file_type()?;
    if kind.is_dir() {
        let path = entry.path();
        let elsewhere = volumes::device(path) != device && volumes::is_mounted(path);
        return elsewhere.then(|| Found::Volume(Location::of(path, home)));
    }
    if kind.is_symlink() {
        return Some(Found::Link);
    }
    if !kind.is_file() {
        return Some(Found::Other);
    }
    let path = entry.path();
    if !may_be_an_image(path) {
        return Some(Found::Other);
    }
    Some(match entry.metadata() {
        Ok(metadata) => Found::Image(FoundFile {
            path: path.to_owned(),
            location: Location::of(path, home),
            stamp: stamp_of(&metadata),
        }),
        Err(error) => Found::Unreadable { path: Some(path.to_owned()), reason: error.to_string() },
    })
}

/// Whether one of the folders above a path is never looked into.
pub(super) fn is_in_excluded_folder(path: &Path) -> bool {
    path.components().any(|part| EXCLUDED_FOLDERS.iter().any(|name| part.as_os_str() == *name))
}

/// Whether a file with this name can be an image; without an extension, any can.
pub(super) fn may_name_an_image(path: &Path) -> bool {
    path.extension().is_none_or(is_of_an_image)
}

fn is_of_an_image(extension: &OsStr) -> bool {
    EXTENSIONS.contains(&extension.to_string_lossy().to_lowercase().as_str())
}

/// By its name, or without an extension by its first bytes.
fn may_be_an_image(path: &Path) -> bool {
    match path.extension() {
        Some(extension) => is_of_an_image(extension),
        None => starts_like_an_image(path),
    }
}

fn starts_like_an_image(path: &Path) -> bool {
    let mut start = [0u8; START_BYTES];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.is_ok_and(|length| imaging::is_image_start(&start[..length]))
}

fn unreadable(error: &ignore::Error) -> Found {
    let mut path = None;
    let mut inner = error;
    loop {
        inner = match inner {
            ignore::Error::WithPath { path: at, err } => {
                path = Some(at.clone());
                err
            }
            ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => err,
            ignore::Error::Loop { child, .. } => {
                let reason = "the link leads back to a folder above it".to_owned();
                return Found::Unreadable { path: Some(child.clone()), reason };
            }
            other => return Found::Unreadable { path, reason: other.to_string() },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path, options: &WalkOptions) -> Vec<String> {
        walk(folder, folder, options)
            .unwrap()
            .filter_map(|found| match found {
                Found::Image(file) => Some(file.location.to_string()),
                _ => None,
            })
            .collect()
    }

    fn folder_with(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, b"x").unwrap();
        }
        folder
    }

    #[test]
    fn images_come_in_the_order_of_their_names_and_other_files_do_not_come() {
        let folder =
            folder_with(&["b/2.PNG", "b/1.jpg", "a.webp", "notes.txt", "c.HEIC", "raw.NEF"]);
        let found = names(folder.path(), &WalkOptions::default());
        assert_eq!(found, ["a.webp", "b/1.jpg", "b/2.PNG", "c.HEIC", "raw.NEF"]);
    }

    #[test]
    fn hidden_system_and_ignored_files_are_left_out_unless_asked_for() {
        let folder = folder_with(&[
            ".hidden.jpg",
            "@eaDir/thumb.jpg",
            "node_modules/logo.png",
            "trash/t.jpg",
            "keep.jpg",
            "photos-db/MANIFEST.json",
            "photos-db/LOCK",
            "photos-db/thumbs/00/1.jpg",
        ]);
        std::fs::write(folder.path().join(IGNORE_FILE), "trash/\n").unwrap();
        assert_eq!(names(folder.path(), &WalkOptions::default()), ["keep.jpg"]);
        let all = WalkOptions { hidden: true, no_ignore: true, ..WalkOptions::default() };
        assert_eq!(names(folder.path(), &all), [".hidden.jpg", "keep.jpg", "trash/t.jpg"]);
        let excluded = WalkOptions { exclude: vec!["keep*".into()], ..WalkOptions::default() };
        assert_eq!(names(folder.path(), &excluded), [""; 0]);
    }

    #[test]
    fn an_image_without_an_extension_is_found_by_its_first_bytes() {
        let folder = folder_with(&["README"]);
        std::fs::write(folder.path().join("scan"), b"\x89PNG\r\n\x1a\n0000").unwrap();
        assert_eq!(names(folder.path(), &WalkOptions::default()), ["scan"]);
    }

    #[test]
    fn a_file_is_unsettled_around_the_time_of_its_change() {
        let quiet = Duration::from_secs(2);
        let changed = |seconds_from_now: i64| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as i64;
            let modified_ns = now + seconds_from_now * 1_000_000_000;
            let stamp = FileStamp { size_bytes: 1, modified_ns };
            let location = Location::from_bytes(b"a.jpg".to_vec());
            FoundFile { path: "a.jpg".into(), location, stamp }.changed_within(quiet)
        };
        assert!(changed(0));
        assert!(changed(1), "the clock of the drive is ahead");
        // A wrong clock does not keep a file out for ever.
        assert!(!changed(60));
        assert!(!changed(-60));
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_is_reported_and_ends() {
        let folder = folder_with(&["a/1.jpg"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("a/up")).unwrap();
        assert_eq!(names(folder.path(), &WalkOptions::default()), ["a/1.jpg"]);
        let follow = WalkOptions { follow_links: true, ..WalkOptions::default() };
        let found: Vec<Found> = walk(folder.path(), folder.path(), &follow).unwrap().collect();
        let reason = found.iter().find_map(|found| match found {
            Found::Unreadable { reason, .. } => Some(reason.as_str()),
            _ => None,
        });
        assert_eq!(reason, Some("the link leads back to a folder above it"));
    }

    #[test]
    fn a_missing_folder_and_a_file_are_refused() {
        let folder = folder_with(&["a.jpg"]);
        let options = WalkOptions::default();
        let missing = walk(&folder.path().join("no"), folder.path(), &options).err().unwrap();
        assert!(matches!(missing, IngestError::Folder { .. }), "{missing}");
        let file = walk(&folder.path().join("a.jpg"), folder.path(), &options).err().unwrap();
        assert!(matches!(file, IngestError::NotAFolder { .. }), "{file}");
    }
}
