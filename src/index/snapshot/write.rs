//! Writing a graph file beside its place and moving it there in one step.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::SnapshotError;
use super::header::Header;
use crate::index::GraphIndex;

/// Writes `graph` to `path`, in place of what is there.
///
/// Whoever reads `path` sees the old file or the new one, whole. When this returns, the new one
/// survives a crash of the machine. Holds a copy of the links in memory while it writes.
///
/// # Errors
///
/// [`SnapshotError::Write`] if the file or its folder cannot be written; `path` is untouched then.
pub fn save_graph(graph: &GraphIndex, path: &Path) -> Result<(), SnapshotError> {
    write_atomically(path, &sections(graph), graph)
        .map_err(|source| SnapshotError::Write { path: path.to_path_buf(), source })
}

fn write_atomically(path: &Path, sections: &[Vec<u8>], graph: &GraphIndex) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    let mut file = temporary_file(folder)?;
    let checksums = sections.iter().map(|section| crc32fast::hash(section));
    file.write_all(&Header::describe(graph, checksums.collect()).encode())?;
    for section in sections {
        file.write_all(section)?;
    }
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// A file that is deleted again unless it is moved to its place.
fn temporary_file(folder: &Path) -> io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".graph-");
    // Without this only the owner could read the graph; the umask still applies.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Makes the rename itself durable. Windows cannot open a folder and orders renames by itself.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// The sections in file order.
fn sections(graph: &GraphIndex) -> Vec<Vec<u8>> {
    let links = graph.links();
    let base = [&links.base.offsets, &links.base.neighbors];
    let upper = links.upper.iter();
    let upper =
        upper.flat_map(|level| [&level.nodes, &level.links.offsets, &level.links.neighbors]);
    let unreachable = &graph.tuning().unreachable;
    let arrays = std::iter::once(unreachable).chain(base).chain(upper);
    arrays.map(|numbers| little_endian(numbers)).collect()
}

fn little_endian(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
}
