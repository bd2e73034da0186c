//! Moves duplicates to the trash, each after a last look at it and at the file that is kept.

use std::path::Path;

use anyhow::Context;
use lookalike::record::{ContentHash, ImageId};
use lookalike::{Database, DuplicateGroup};

use super::Outcome;
use super::output::{Output, counted, shown};

/// Moves all files but those to keep. What cannot be moved is told and stays.
pub(super) fn apply(
    database: &Database,
    groups: &[DuplicateGroup],
    output: &Output,
) -> anyhow::Result<Outcome> {
    let (mut moved, mut failed) = (0, 0);
    for group in groups {
        let kept = group.keep.1.to_path(database.home());
        if let Err(error) = check(database, &kept, group.keep.0) {
            output.warn(format_args!("the rest of its group stays: {error:#}"));
            failed += group.others.len() as u64;
            continue;
        }
        for other in &group.others {
            let path = other.location.to_path(database.home());
            match remove(database, &path, &kept, other.id) {
                Ok(()) => {
                    database.file_removed(&other.location)?;
                    moved += 1;
                }
                Err(error) => {
                    output.warn(format_args!("{} stays: {error:#}", shown(&path)));
                    failed += 1;
                }
            }
        }
    }
    output.note(format_args!("{} moved to the trash", counted(moved, "file")));
    Ok(if failed > 0 { Outcome::Failed } else { Outcome::Done })
}

fn remove(database: &Database, path: &Path, kept: &Path, id: ImageId) -> anyhow::Result<()> {
    check(database, path, id)?;
    if is_same_file(path, kept) {
        anyhow::bail!("it is another name of the file that is kept");
    }
    trash::delete(path).context("it cannot be moved to the trash")
}

/// Whether two paths lead to one file: by a link, which would leave nothing.
fn is_same_file(a: &Path, b: &Path) -> bool {
    same_file::is_same_file(a, b).unwrap_or(true)
}

/// Makes sure that a file still holds an image.
fn check(database: &Database, path: &Path, id: ImageId) -> anyhow::Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path:?}"))?;
    let row = database.image(id)?;
    if row.is_none_or(|row| row.record.hash != ContentHash::of(&bytes)) {
        anyhow::bail!("{path:?} has changed since it was indexed");
    }
    Ok(())
}
