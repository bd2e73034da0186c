//! Writing a graph file beside its place and moving it there in one step.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::header::{ALIGNMENT, Header};
use super::{GraphFile, SnapshotError};

/// Writes a graph to `path`, in place of what is there.
///
/// Whoever reads `path` sees the old file or the new one, whole; who has mapped the old one keeps
/// it. When this returns, the new one survives a crash of the machine. `owner` says whose vectors
/// these are: reading the file asks for the same.
///
/// # Errors
///
/// [`SnapshotError::Write`] if the file or its folder cannot be written; `path` is untouched then.
pub fn save_graph(file: &GraphFile, owner: [u8; 32], path: &Path) -> Result<(), SnapshotError> {
    write_atomically(path, file, owner)
        .map_err(|source| SnapshotError::Write { path: path.to_path_buf(), source })
}

fn write_atomically(path: &Path, graph: &GraphFile, owner: [u8; 32]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let folder = parent.unwrap_or(Path::new("."));
    let file = temporary_file(folder)?;
    let mut writer = BufWriter::new(file);
    let mut header = Header::describe(graph, owner);
    let sections = sections(graph);
    for (place, section) in header.places().iter().zip(&sections) {
        assert_eq!(place.bytes, section.len(), "{} of another size", place.section);
    }
    header.checksums = sections.iter().map(|section| checksum(section)).collect();
    write_padded(&mut writer, &header.encode())?;
    for section in sections {
        write_padded(&mut writer, section)?;
    }
    let file = writer.into_inner()?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    sync_folder(folder)
}

/// The CRC-32 of a section with its padding.
fn checksum(section: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(section);
    hasher.update(padding(section));
    hasher.finalize()
}

fn write_padded(writer: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    writer.write_all(bytes)?;
    writer.write_all(padding(bytes))
}

fn padding(bytes: &[u8]) -> &'static [u8] {
    &[0; ALIGNMENT][..bytes.len().next_multiple_of(ALIGNMENT) - bytes.len()]
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

/// The sections in file order. Numbers lie in memory as they do in the file: little endian.
fn sections(file: &GraphFile) -> Vec<&[u8]> {
    let (links, members, codes) = (file.graph.links(), &file.members, file.graph.codes());
    let mut sections: Vec<&[u8]> = vec![
        bytemuck::cast_slice(&file.graph.tuning().unreachable),
        bytemuck::cast_slice(&links.base.offsets),
        bytemuck::cast_slice(&links.base.neighbors),
    ];
    for level in &links.upper {
        sections.push(bytemuck::cast_slice(&level.nodes));
        sections.push(bytemuck::cast_slice(&level.links.offsets));
        sections.push(bytemuck::cast_slice(&level.links.neighbors));
    }
    sections.push(bytemuck::cast_slice(&members.offsets));
    sections.push(bytemuck::cast_slice(&members.keys));
    sections.push(bytemuck::cast_slice(&members.absent));
    sections.push(bytemuck::cast_slice(&codes.scales));
    sections.push(bytemuck::cast_slice(&codes.coarse));
    sections.push(&codes.fine);
    sections
}
