//! What most commands begin with: the encoder, the database, the image to ask about.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use lookalike::inference::{Cnn, Encoder};
use lookalike::{Database, Filter};

use super::args::{FilterArgs, GlobalArgs};
use super::locate;

/// Loads the network inside the binary.
///
/// # Errors
/// None in practice.
pub(super) fn encoder() -> anyhow::Result<Arc<dyn Encoder>> {
    Ok(Arc::new(Cnn::embedded()?))
}

/// Opens the database that a command about `folder` means.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub(super) fn open(global: &GlobalArgs, folder: &Path) -> anyhow::Result<Database> {
    let directory = locate::existing(global.db.as_deref(), folder)?;
    Ok(Database::open(&directory, encoder()?)?)
}

/// Opens the database that a command means which names no folder.
///
/// # Errors
/// As for [`open`].
pub(super) fn open_here(global: &GlobalArgs) -> anyhow::Result<Database> {
    open(global, Path::new("."))
}

/// Turns the paths and names that were typed into a filter of this database.
///
/// # Errors
/// When a path cannot be made absolute.
pub(super) fn filter(database: &Database, args: &FilterArgs) -> anyhow::Result<Filter> {
    let under = match &args.under {
        Some(path) => Some(database.locate(&locate::absolute(path)?)),
        None => None,
    };
    Ok(Filter { under, class: args.class.clone(), label: args.label.clone() })
}

/// An image file as it was given: its bytes, and its path unless it came from a pipe.
pub(super) struct GivenImage {
    pub(super) path: PathBuf,
    pub(super) bytes: Vec<u8>,
    pub(super) from_pipe: bool,
}

/// Reads an image file; `-` is standard input.
///
/// # Errors
/// When it cannot be read.
pub(super) fn read_image(path: &Path) -> anyhow::Result<GivenImage> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("cannot read standard input")?;
        return Ok(GivenImage { path: path.to_owned(), bytes, from_pipe: true });
    }
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {path:?}"))?;
    Ok(GivenImage { path: locate::absolute(path)?, bytes, from_pipe: false })
}

/// Begins the error for a file that cannot be embedded or classified.
pub(super) fn unusable(path: &Path) -> String {
    format!("cannot use {path:?} as an image")
}
