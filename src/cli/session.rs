//! What most commands begin with: the encoder, the database, the image to ask about.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use lookalike::inference::{Cnn, Compute, Encoder, Model, Precision};
use lookalike::query::Capture;
use lookalike::{Database, Filter};

use super::args::{FilterArgs, GlobalArgs};
use super::{args, locate};

/// Forces the kernels of one instruction set, by its name; for tests and comparisons.
pub(super) const INSTRUCTION_SET_VARIABLE: &str = "LOOKALIKE_CPU";

/// Chooses the numbers that convolutions are computed in; embeddings of one are not compared with
/// those of the other.
pub(super) const PRECISION_VARIABLE: &str = "LOOKALIKE_PRECISION";

/// Loads the network inside the binary.
///
/// # Errors
/// When [`INSTRUCTION_SET_VARIABLE`] names kernels that this processor cannot run, or
/// [`PRECISION_VARIABLE`] no precision.
pub(super) fn encoder() -> anyhow::Result<Arc<dyn Encoder>> {
    let mut compute = Compute { precision: Precision::Int8, ..Compute::default() };
    if let Ok(name) = std::env::var(PRECISION_VARIABLE) {
        compute.precision = args::precision(&name)
            .map_err(|problem| anyhow!("{PRECISION_VARIABLE}={name}: {problem}"))?;
    }
    if let Ok(name) = std::env::var(INSTRUCTION_SET_VARIABLE) {
        compute.instruction_set = args::instruction_set(&name)
            .map_err(|problem| anyhow!("{INSTRUCTION_SET_VARIABLE}={name}: {problem}"))?;
    }
    Ok(Arc::new(Cnn::load(Model::EfficientNetLite0, None, &compute)?))
}

/// Opens the database that a command about `folder` means.
///
/// # Errors
/// When there is none, or it cannot be opened.
pub(super) fn open(global: &GlobalArgs, folder: &Path) -> anyhow::Result<Database> {
    let directory = locate::existing(global.db.as_deref(), folder)?;
    let database = Database::open(&directory, encoder()?)?;
    if database.is_embedded_elsewhere()? {
        eprintln!(
            "lookalike: the images were embedded by another network or in another precision: \
             `lookalike index` embeds them for this one"
        );
    }
    Ok(database)
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
    let capture =
        Capture { after: args.after.clone(), before: args.before.clone(), near: args.near };
    Ok(Filter { under, class: args.class.clone(), label: args.label.clone(), capture })
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
