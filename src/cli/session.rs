//! What most commands begin with: the encoder, the database, the image to ask about.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use lookalike::inference::{
    Cnn, CnnDetector, Compute, Detector, Encoder, InstructionSet, Model, Precision,
};
use lookalike::query::{Capture, Has};
use lookalike::{Database, Filter};

use super::args::{DetectorArgs, FilterArgs, GlobalArgs};
use super::{args, locate, networks};

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
    Ok(Arc::new(Cnn::load(Model::EfficientNetLite0, None, &compute()?)?))
}

/// How the networks inside the binary are run.
fn compute() -> anyhow::Result<Compute> {
    let mut compute = Compute { precision: Precision::Int8, ..Compute::default() };
    if let Ok(name) = std::env::var(PRECISION_VARIABLE) {
        compute.precision = args::precision(&name)
            .map_err(|problem| anyhow!("{PRECISION_VARIABLE}={name}: {problem}"))?;
    }
    compute.instruction_set = instruction_set()?;
    Ok(compute)
}

/// The instruction set that was asked for, else the best of this processor.
///
/// # Errors
/// When [`INSTRUCTION_SET_VARIABLE`] names kernels that this processor cannot run.
pub(super) fn instruction_set() -> anyhow::Result<InstructionSet> {
    match std::env::var(INSTRUCTION_SET_VARIABLE) {
        Ok(name) => args::instruction_set(&name)
            .map_err(|problem| anyhow!("{INSTRUCTION_SET_VARIABLE}={name}: {problem}")),
        Err(_) => Ok(InstructionSet::detect()),
    }
}

/// Loads a detector from a file, in floats, or the one inside the binary.
///
/// # Errors
/// When the file cannot be read, or holds no detector; as for [`encoder`].
pub(super) fn detector(file: Option<&Path>) -> anyhow::Result<Arc<dyn Detector>> {
    let compute = compute()?;
    let Some(file) = file else { return Ok(Arc::new(CnnDetector::embedded_as(&compute)?)) };
    let bytes = std::fs::read(file).with_context(|| format!("cannot read {file:?}"))?;
    // Nobody has seen what numbers the weights of a file give.
    let compute = Compute { precision: Precision::Float32, ..compute };
    let detector = CnnDetector::load(&bytes, &compute)
        .with_context(|| format!("cannot use {file:?} as weights of a detector"))?;
    Ok(Arc::new(detector))
}

/// The detector that was asked for, if objects are to be looked for.
///
/// # Errors
/// As for [`detector`].
pub(super) fn wanted_detector(args: &DetectorArgs) -> anyhow::Result<Option<Arc<dyn Detector>>> {
    match args.no_detect {
        true => Ok(None),
        false => detector(args.detector.as_deref()).map(Some),
    }
}

/// Opens the database that a command about `folder` means, for the network that serves it.
///
/// # Errors
/// When there is none, or it cannot be opened; as for [`networks::serving`].
pub(super) fn open(global: &GlobalArgs, folder: &Path) -> anyhow::Result<Database> {
    let directory = locate::existing(global.db.as_deref(), folder)?;
    open_with(&directory, networks::serving(&directory)?)
}

/// Opens a database for a network, and says when that has embedded nothing of it.
///
/// # Errors
/// When it cannot be opened.
pub(super) fn open_with(directory: &Path, encoder: Arc<dyn Encoder>) -> anyhow::Result<Database> {
    let database = Database::open(directory, encoder)?;
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
    let images = match &args.has {
        Some(text) => {
            let has = Has::parse(text, &database.object_class_names())?;
            Some(Arc::new(database.images_with(&has)?))
        }
        None => None,
    };
    let (class, label) = (args.class.clone(), args.label.clone());
    Ok(Filter { under, class, label, capture, images })
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

/// Writes a file that is not there yet: whatever is there may be a photo.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let mut file = File::create_new(path).with_context(|| match path.exists() {
        true => format!("{path:?} is there already: name another file"),
        false => format!("cannot write {path:?}"),
    })?;
    file.write_all(bytes).with_context(|| format!("cannot write {path:?}"))
}
