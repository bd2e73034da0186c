//! What can be typed: flags and subcommands, nothing resolved yet.

mod cluster;
mod duplicates;
mod eval;
mod label;
mod maintenance;
mod map;
mod networks;
mod objects;
mod oddities;
mod serve;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lookalike::inference::{InstructionSet, Model, Precision};
use lookalike::query::{Moment, Near};
use lookalike::record::{BoundingBox, Position};

pub(super) use cluster::{ClusterArgs, ClusterMethod};
pub(super) use duplicates::{DupesArgs, LeakArgs};
pub(super) use eval::{EvalArgs, EvalCommand, EvalCompareArgs};
pub(super) use label::LabelCommand;
pub(super) use maintenance::{
    BackupArgs, ExportArgs, ExportKind, GcArgs, ImportArgs, RestoreArgs, RootsArgs, VerifyArgs,
};
pub(super) use map::MapArgs;
pub(super) use networks::{ModelsArgs, ModelsCommand, NetworkArgs};
pub(super) use objects::{DetectArgs, DetectorArgs, EvalDetectionArgs, ObjectsArgs};
pub(super) use oddities::{IssuesArgs, OutliersArgs};
pub(super) use serve::ServeArgs;

use super::session::{INSTRUCTION_SET_VARIABLE, PRECISION_VARIABLE};

/// Image similarity search over your own folders: offline, one binary.
#[derive(Debug, Parser)]
#[command(name = "lookalike", version, propagate_version = true, max_term_width = 100)]
#[command(after_help = "Exit status: 0 found or done, 1 nothing found, 2 something failed.\n\
    `lookalike help COMMAND` says more about a command.")]
pub(super) struct Arguments {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Args)]
pub(super) struct GlobalArgs {
    /// Database directory [default: `.lookalike` in the folder or above it]
    #[arg(long, global = true, value_name = "PATH", env = "LOOKALIKE_DB")]
    pub(super) db: Option<PathBuf>,
    /// Print one JSON object per line
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// Print results and errors only
    #[arg(long, short, global = true)]
    pub(super) quiet: bool,
    /// Threads to use [default: one for each core]
    #[arg(long, global = true, value_name = "N")]
    pub(super) threads: Option<std::num::NonZeroUsize>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read new and changed images of folders into the database
    Index(IndexArgs),
    /// Keep the database current with its folders until Ctrl-C
    Watch(WatchArgs),
    /// Find the images that look like a given one
    Search(SearchArgs),
    /// Show the images in a browser, and answer other programs, until Ctrl-C
    Serve(ServeArgs),
    /// Group the images that belong together
    Cluster(ClusterArgs),
    /// Find images that are the same picture, and say which to keep
    Dupes(DupesArgs),
    /// Find pictures that a test set shares with a training set
    Leak(LeakArgs),
    /// Lay the collection out in the plane, images that are alike close together
    Map(MapArgs),
    /// List the images that are unlike all others
    Outliers(OutliersArgs),
    /// List images that are blurry, dark, blank or of an odd size
    Issues(IssuesArgs),
    /// Name images by hand, and let a classifier name the rest
    #[command(subcommand)]
    Label(LabelCommand),
    /// Say what is on images, in the database or not
    Classify(ClassifyArgs),
    /// Find the objects on images, in the database or not
    Detect(DetectArgs),
    /// List the classes of the objects that were found, with their numbers
    Objects(ObjectsArgs),
    /// List the images of the database
    List(ListArgs),
    /// Print the embedding of images, in the database or not
    Embed(EmbedArgs),
    /// List the folders of the database, and which of them can be reached
    Roots(RootsArgs),
    /// Forget images whose files are really gone; shows them first
    Gc(GcArgs),
    /// Show what the database holds
    Stats,
    /// Check the database, and the recall of its index against an exact scan
    Verify(VerifyArgs),
    /// Measure retrieval, detectors, and whether two networks agree
    Eval(EvalArgs),
    /// Measure the speed of reading and encoding images on this machine
    Bench(BenchArgs),
    /// Show the networks, choose the one that serves, or remove the embeddings of one
    Models(ModelsArgs),
    /// Save what is readable of a damaged database
    Repair,
    /// Write the database anew, without the room of what was replaced or removed
    Compact,
    /// Copy the database to a folder, checked and of one moment
    Backup(BackupArgs),
    /// Put a backup in the place of the database
    Restore(RestoreArgs),
    /// Write images, files, labels and embeddings for other programs
    Export(ExportArgs),
    /// Add what `lookalike export` wrote
    Import(ImportArgs),
}

#[derive(Debug, Args)]
pub(super) struct IndexArgs {
    /// Folders to index [default: those indexed before, else the folder of the database]
    #[arg(value_name = "DIR")]
    pub(super) folders: Vec<PathBuf>,
    #[command(flatten)]
    pub(super) walk: WalkArgs,
    /// Vector index: a graph pays from about 10,000 images on
    #[arg(long, value_enum, default_value_t = IndexKind::Auto, value_name = "KIND")]
    pub(super) vector_index: IndexKind,
    /// Share of the ten nearest that searches in the graph find, 0.5 to 0.999: less is faster
    /// [default: 0.99, or that of the graph there is]
    #[arg(long, value_name = "R", value_parser = networks::parse_recall)]
    pub(super) recall: Option<f64>,
    /// Exit with status 2 if any file could not be read
    #[arg(long)]
    pub(super) strict: bool,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    #[command(flatten)]
    pub(super) objects: DetectorArgs,
}

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// Folders to watch [default: those indexed before, else the folder of the database]
    #[arg(value_name = "DIR")]
    pub(super) folders: Vec<PathBuf>,
    /// Look every so many seconds instead of waiting for the system's reports, which network
    /// drives do not give
    #[arg(long, value_name = "SECONDS", value_parser = parse_interval)]
    pub(super) poll: Option<f64>,
    #[command(flatten)]
    pub(super) walk: WalkArgs,
    #[command(flatten)]
    pub(super) objects: DetectorArgs,
}

#[derive(Debug, Args)]
pub(super) struct WalkArgs {
    /// Leave out what matches this glob; may be given several times
    #[arg(long, value_name = "GLOB")]
    pub(super) exclude: Vec<String>,
    /// Look into hidden files and folders too
    #[arg(long)]
    pub(super) hidden: bool,
    /// Follow symbolic links
    #[arg(long)]
    pub(super) follow: bool,
    /// Do not read .gitignore, .ignore and .lookalikeignore
    #[arg(long)]
    pub(super) no_ignore: bool,
    /// Folders to descend below DIR, at most
    #[arg(long, value_name = "N")]
    pub(super) max_depth: Option<usize>,
    /// Make thumbnails for `lookalike serve` when they are needed, not now
    #[arg(long)]
    pub(super) no_thumbs: bool,
    /// Largest image that is read, in millions of pixels
    #[arg(long, value_name = "N", default_value_t = 200)]
    pub(super) max_megapixels: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum IndexKind {
    /// Graph for many images, exact scan for few
    Auto,
    /// Exact scan
    Exact,
    /// HNSW graph
    Graph,
}

#[derive(Debug, Args)]
pub(super) struct SearchArgs {
    /// Image to search for, any file; `-` reads it from standard input
    #[arg(value_name = "IMAGE", required_unless_present = "id", conflicts_with = "id")]
    pub(super) image: Option<PathBuf>,
    /// Search for the image with this number
    #[arg(long, value_name = "N")]
    pub(super) id: Option<u64>,
    /// Folder to search; indexed first if need be
    #[arg(long = "in", value_name = "DIR")]
    pub(super) folder: Option<PathBuf>,
    /// Hits, at most
    #[arg(long, short = 'k', value_name = "K", default_value_t = 10)]
    pub(super) top: usize,
    /// Lowest score of a hit: cosine similarity, -1 to 1
    #[arg(long, value_name = "S", allow_negative_numbers = true, value_parser = parse_score)]
    pub(super) min_score: Option<f32>,
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// Search for this object of the image, by its number in `lookalike detect`
    #[arg(long, value_name = "N", conflicts_with = "crop")]
    pub(super) object: Option<std::num::NonZeroU16>,
    /// Search for what lies in this box of the image, in pixels from its upper left corner
    #[arg(long, value_name = "X,Y,W,H", value_parser = crop, conflicts_with = "id")]
    pub(super) crop: Option<BoundingBox>,
    /// Compare the object or the crop with objects or with whole images
    #[arg(long, value_enum, default_value_t = Over::Objects, value_name = "KIND")]
    pub(super) over: Over,
    /// Weights of the detector for --object, of YOLOX or Faster R-CNN [default: NanoDet, in the program]
    #[arg(long, value_name = "FILE")]
    pub(super) detector: Option<PathBuf>,
    /// Write a picture of query and first hit that shows what of them is alike, as PNG
    #[arg(long, value_name = "FILE", conflicts_with_all = ["object", "crop"])]
    pub(super) explain: Option<PathBuf>,
    #[command(flatten)]
    pub(super) network: NetworkArgs,
    /// Share of the ten nearest to find, 0.5 to 0.999: where the graph was built for less, scan
    /// exactly
    #[arg(long, value_name = "R", value_parser = networks::parse_recall, conflicts_with = "exact")]
    pub(super) recall: Option<f64>,
    /// Scan exactly even if there is a graph
    #[arg(long)]
    pub(super) exact: bool,
    /// Say of each hit how many images of the collection would score as high by chance
    #[arg(long)]
    pub(super) chance: bool,
    /// Leave out hits from where one image would score as high by chance
    #[arg(long)]
    pub(super) auto: bool,
    /// Print paths only
    #[arg(long, short = 'f', conflicts_with = "json")]
    pub(super) files_only: bool,
}

#[derive(Debug, Args)]
pub(super) struct FilterArgs {
    /// Only images in this folder or below
    #[arg(long, value_name = "PATH")]
    pub(super) under: Option<PathBuf>,
    /// Only images on which the network sees this class, such as `cat`
    #[arg(long, value_name = "NAME")]
    pub(super) class: Option<String>,
    /// Only images with this label
    #[arg(long, value_name = "NAME")]
    pub(super) label: Option<String>,
    /// Only images with these objects: `dog`, "person>=2", "dog&bicycle"
    #[arg(long, value_name = "OBJECTS")]
    pub(super) has: Option<String>,
    /// Only photos captured on this date or later: 2024, 2024-06, 2024-06-01 or
    /// "2024-06-01 14:30", by the clock of the camera. An image without a capture time is left out
    #[arg(long, value_name = "DATE", value_parser = moment)]
    pub(super) after: Option<Moment>,
    /// Only photos captured before this date, which is itself left out
    #[arg(long, value_name = "DATE", value_parser = moment)]
    pub(super) before: Option<Moment>,
    /// Only photos captured within KM kilometres of this place, in degrees: 48.86,2.35,10. An image
    /// without a position is left out
    #[arg(long, value_name = "LAT,LON,KM", allow_hyphen_values = true, value_parser = near)]
    pub(super) near: Option<Near>,
}

/// What an object or a crop is compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Over {
    /// The objects of the images
    Objects,
    /// The whole images
    Images,
}

/// Reads a box.
fn crop(text: &str) -> Result<BoundingBox, String> {
    let parts: Option<Vec<f32>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let bounds = parts.and_then(|parts| {
        let [left, top, width, height] = parts[..] else { return None };
        let bounds = BoundingBox::new(left, top, left + width, top + height);
        bounds.is_proper().then_some(bounds)
    });
    bounds.ok_or_else(|| {
        "expected left, top, width and height in pixels, such as 120,40,200,300".to_owned()
    })
}

/// Reads a date, with a time or without.
fn moment(text: &str) -> Result<Moment, String> {
    Moment::parse(text)
        .ok_or_else(|| "expected a date such as 2024, 2024-06 or 2024-06-01T14:30".to_owned())
}

/// Reads a place with a distance.
fn near(text: &str) -> Result<Near, String> {
    let parts: Option<Vec<f64>> = text.split(',').map(|part| part.trim().parse().ok()).collect();
    let near = parts.and_then(|parts| {
        let [latitude, longitude, radius_km] = parts[..] else { return None };
        let centre = Position::new(latitude, longitude)?;
        (radius_km >= 0.0).then_some(Near { centre, radius_km })
    });
    near.ok_or_else(|| {
        "expected a latitude (-90 to 90), a longitude (-180 to 180) and kilometres, \
         such as 48.86,2.35,10"
            .to_owned()
    })
}

#[derive(Debug, Args)]
pub(super) struct ClassifyArgs {
    /// Image files; `-` reads one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub(super) images: Vec<PathBuf>,
    /// Classes shown of each image
    #[arg(long, short = 'k', value_name = "K", default_value_t = 5)]
    pub(super) top: usize,
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    pub(super) filter: FilterArgs,
    /// List images whose files are all missing instead
    #[arg(long, conflicts_with_all = ["under", "class", "label", "has", "after", "before", "near", "failed"])]
    pub(super) missing: bool,
    /// List files that could not be read, with the reasons, instead
    #[arg(long, conflicts_with_all = ["under", "class", "label", "has", "after", "before", "near"])]
    pub(super) failed: bool,
    /// Print the stored embeddings too
    #[arg(long, requires = "json")]
    pub(super) embeddings: bool,
}

#[derive(Debug, Args)]
pub(super) struct EmbedArgs {
    /// Image files; `-` reads one from standard input
    #[arg(required = true, value_name = "IMAGE")]
    pub(super) images: Vec<PathBuf>,
}

fn parse_interval(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.1..=86_400.0).contains(&seconds) => Ok(seconds),
        _ => Err("an interval lies between 0.1 and 86400 seconds".to_owned()),
    }
}

fn parse_share(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1".to_owned()),
    }
}

fn parse_score(text: &str) -> Result<f32, String> {
    match text.parse::<f32>() {
        Ok(score) if (-1.0..=1.0).contains(&score) => Ok(score),
        _ => Err("a score lies between -1 and 1".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }
}

#[derive(Debug, Args)]
pub(super) struct BenchArgs {
    /// Folder of images to read; the first 100 are taken
    #[arg(value_name = "DIR", default_value = ".", conflicts_with = "encode_only")]
    pub(super) folder: PathBuf,
    /// Time the network alone, on pixels that are already there
    #[arg(long)]
    pub(super) encode_only: bool,
    /// Network to run, as `lookalike models` names it
    #[arg(long, value_name = "NAME", default_value = "efficientnet-lite0", value_parser = model)]
    pub(super) model: Model,
    /// Its weights, a safetensors file [default: those in the program]
    #[arg(long, value_name = "FILE")]
    pub(super) weights: Option<PathBuf>,
    /// Time a detector instead, on one image at a time: that in the program, or that of a file
    #[arg(long, value_name = "FILE", num_args = 0..=1,
        conflicts_with_all = ["model", "weights", "batch"])]
    pub(super) detector: Option<Option<PathBuf>>,
    /// Numbers that convolutions are computed in: f32 or int8
    #[arg(long, value_name = "NAME", default_value = "int8", env = PRECISION_VARIABLE, value_parser = precision)]
    pub(super) precision: Precision,
    /// Instruction set of the kernels: avx512, avx2, neon or scalar [default: the best here]
    #[arg(long, value_name = "NAME", env = INSTRUCTION_SET_VARIABLE, value_parser = instruction_set)]
    pub(super) instruction_set: Option<InstructionSet>,
    /// Images that are encoded at a time: one shares all threads, several have one each
    #[arg(long, value_name = "N", default_value = "8")]
    pub(super) batch: std::num::NonZeroUsize,
    /// Show where the time of an image goes, on one thread
    #[arg(long)]
    pub(super) profile: bool,
    /// Time to spend on each stage, in seconds
    #[arg(long, value_name = "S", default_value_t = 3.0)]
    pub(super) seconds: f64,
}

/// Finds a network by its name.
fn model(name: &str) -> Result<Model, String> {
    let names = Model::ALL.map(Model::name);
    Model::named(name).ok_or_else(|| format!("expected one of {}", names.join(", ")))
}

/// Finds a precision by its name.
pub(super) fn precision(name: &str) -> Result<Precision, String> {
    [Precision::Float32, Precision::Int8]
        .into_iter()
        .find(|precision| precision.name() == name)
        .ok_or_else(|| "expected f32 or int8".to_owned())
}

/// Finds an instruction set of this processor by its name.
///
/// # Errors
/// What would be accepted.
pub(super) fn instruction_set(name: &str) -> Result<InstructionSet, String> {
    let available = InstructionSet::available();
    let names: Vec<&str> = available.iter().map(|set| set.name()).collect();
    available
        .iter()
        .copied()
        .find(|set| set.name() == name)
        .ok_or_else(|| format!("this processor runs {}", names.join(", ")))
}
