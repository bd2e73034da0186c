//! `lookalike search`: images like a given one.

use std::num::NonZeroU16;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use lookalike::imaging::DecodeLimits;
use lookalike::learn::Chance;
use lookalike::objects;
use lookalike::query::embed_file;
use lookalike::record::{BoundingBox, ContentHash, ImageId};
use lookalike::vector::Embedding;
use lookalike::{Database, Error, FileState, Hit, IndexOptions, Search};
use serde::Serialize;

use super::args::{GlobalArgs, Over, SearchArgs};
use super::detect::ObjectLine;
use super::output::{Output, path_text, shown, with_raws};
use super::{Outcome, explain, index, locate, networks, progress, session};

/// A hit as `--json` prints it.
#[derive(Serialize)]
struct HitLine {
    rank: usize,
    score: f32,
    path: String,
    file: FileState,
    id: ImageId,
    hash: ContentHash,
    copies: Vec<String>,
    raw: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    by_chance: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<ObjectLine>,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &SearchArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    if args.top == 0 {
        bail!("--top 0 asks for nothing: give at least 1");
    }
    let (database, scope) = open(global, args, output)?;
    let mut search = Search {
        top: args.top,
        score_min: args.min_score.unwrap_or(-1.0),
        filter: session::filter(&database, &args.filter)?,
        exact: args.exact,
        ..Search::default()
    };
    if let Some(recall) = args.recall {
        search.exact = recall > database.recall_built_for()?;
    }
    search.filter.under = search.filter.under.or(scope.map(|folder| database.locate(&folder)));
    let by_chance = by_chance(&database, args)?;
    if let Some(chance) = by_chance.as_ref().filter(|_| args.auto) {
        search.score_min = search.score_min.max(chance.score_min());
    }
    let hits = match (&args.image, args.id) {
        (Some(image), _) => search_file(&database, image, args, search)?,
        (None, Some(id)) => search_stored(&database, ImageId(id), args, search)?,
        (None, None) => bail!("give an image to search for"),
    };
    print(&database, &hits, args.files_only, by_chance.as_ref(), output)?;
    if let (Some(target), Some(hit)) = (&args.explain, hits.first()) {
        explain::write(&database, args, hit, target)?;
    }
    if hits.is_empty() {
        output.note("nothing found");
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Done)
}

/// What scores are worth in a collection.
struct ByChance {
    chance: Chance,
    images: f64,
}

impl ByChance {
    /// Images that would score as high if nothing in the collection were like the query.
    fn expected(&self, score: f32) -> f64 {
        self.images * self.chance.of_score(score)
    }

    /// The score that one image would reach by chance.
    fn score_min(&self) -> f32 {
        self.chance.score_of(1.0 / self.images)
    }
}

fn by_chance(database: &Database, args: &SearchArgs) -> anyhow::Result<Option<ByChance>> {
    if !args.chance && !args.auto {
        return Ok(None);
    }
    // Chance is known of whole images.
    let of_objects = Part::of(args).is_some() && args.over == Over::Objects;
    ensure!(!of_objects, "--chance and --auto are for whole images: give --over images too");
    let Some(chance) = database.chance()? else {
        bail!("too few images to tell likeness from chance: at least 30 are needed");
    };
    Ok(Some(ByChance { chance, images: database.image_count() as f64 }))
}

/// Opens the database to search, indexing the folder of `--in` first.
///
/// Gives the folder too: a database above it may hold more.
fn open(
    global: &GlobalArgs,
    args: &SearchArgs,
    output: &Output,
) -> anyhow::Result<(Database, Option<PathBuf>)> {
    let Some(folder) = &args.folder else {
        let directory = locate::existing(global.db.as_deref(), Path::new("."))?;
        let network = networks::wanted(&directory, &args.network)?;
        if args.network.model.is_some() {
            networks::refuse_unknown(&directory, &network)?;
        }
        return Ok((session::open_with(&directory, network.encoder)?, None));
    };
    let directory = locate::for_indexing(global.db.as_deref(), folder)?;
    let folder = locate::absolute(folder)?;
    progress::listen_for_interrupt()?;
    let mut database = networks::create(&directory, &args.network)?;
    if args.object.is_some() || args.crop.is_some() || args.filter.has.is_some() {
        database = database.with_detector(session::detector(args.detector.as_deref())?);
    }
    let mut options = IndexOptions::default();
    if let Some(threads) = global.threads {
        options.threads = threads.get();
    }
    let report = index::index(&database, std::slice::from_ref(&folder), &options, output)?;
    if report.interrupted {
        bail!("stopped before the folder was indexed: run the same command again to go on");
    }
    let quiet_run = report.embedded == 0 && report.failed.is_empty() && report.missing == 0;
    if !quiet_run {
        index::summarise(&report, output);
    }
    Ok((database, Some(folder)))
}

/// What of the image is searched for, if not the whole.
#[derive(Clone, Copy)]
enum Part {
    /// By its number, from 1.
    Object(NonZeroU16),
    Crop(BoundingBox),
}

impl Part {
    fn of(args: &SearchArgs) -> Option<Self> {
        args.object.map(Self::Object).or(args.crop.map(Self::Crop))
    }
}

fn search_stored(
    database: &Database,
    id: ImageId,
    args: &SearchArgs,
    search: Search,
) -> anyhow::Result<Vec<Hit>> {
    let Some(number) = args.object else { return Ok(database.search_image(id, &search)?) };
    let embedding = database.object_embedding(id, number.get() - 1)?;
    let search = Search { exclude_image: Some(id), ..search };
    search_part(database, &embedding, args.over, &search)
}

fn search_part(
    database: &Database,
    embedding: &Embedding,
    over: Over,
    search: &Search,
) -> anyhow::Result<Vec<Hit>> {
    Ok(match over {
        Over::Objects => database.search_objects(embedding, search)?,
        Over::Images => database.search_embedding(embedding, search)?,
    })
}

fn search_file(
    database: &Database,
    image: &Path,
    args: &SearchArgs,
    mut search: Search,
) -> anyhow::Result<Vec<Hit>> {
    let given = session::read_image(image)?;
    if !given.from_pipe {
        search.exclude_location = Some(database.locate(&given.path));
    }
    let Some(part) = Part::of(args) else {
        let embedding = embed_file(database.encoder(), &given.bytes, &DecodeLimits::default())
            .with_context(|| session::unusable(image))?;
        return Ok(database.search_embedding(&embedding, &search)?);
    };
    let detector = session::detector(args.detector.as_deref())?;
    let decoded = objects::decode(&given.bytes, &DecodeLimits::default(), &*detector, None)
        .with_context(|| session::unusable(image))?;
    let bounds = match part {
        Part::Object(number) => {
            let found = objects::detect(&decoded, &*detector, &detector.rules())?.objects;
            let (number, count) = (usize::from(number.get()), found.len());
            let object = found.get(number - 1).ok_or(Error::UnknownObject { number, count })?;
            object.bounds
        }
        Part::Crop(bounds) => {
            let inside = bounds.clipped(decoded.width_px, decoded.height_px);
            ensure!(inside.is_proper(), "the crop lies beside the image");
            inside
        }
    };
    let embeddings = objects::embed(&decoded, &[bounds], objects::MARGIN, database.encoder())?;
    search_part(database, &embeddings[0], args.over, &search)
}

fn print(
    database: &Database,
    hits: &[Hit],
    files_only: bool,
    by_chance: Option<&ByChance>,
    output: &Output,
) -> anyhow::Result<()> {
    let rank_width = hits.len().to_string().len();
    let reach = database.reach()?;
    let class_names = database.object_class_names();
    for (hit, rank) in hits.iter().zip(1..) {
        let mut paths: Vec<PathBuf> =
            hit.locations.iter().map(|location| location.to_path(database.home())).collect();
        // A copy that can be opened is of more use than one on an unplugged drive.
        paths.sort_by_key(|path| reach.file(path) != FileState::There);
        let mut paths = paths.into_iter();
        let path = paths.next().unwrap_or_default();
        let file = reach.file(&path);
        let raws: Vec<PathBuf> =
            hit.raw_locations.iter().map(|location| location.to_path(database.home())).collect();
        let matched = hit
            .object
            .as_ref()
            .map(|object| ObjectLine::of(object.number.into(), &object.detection, &class_names));
        let expected = by_chance.map(|chance| chance.expected(hit.score));
        if output.json {
            output.object(&HitLine {
                rank,
                score: hit.score,
                by_chance: expected,
                path: path_text(&path),
                file,
                id: hit.id,
                hash: hit.hash,
                copies: paths.map(|path| path_text(&path)).collect(),
                raw: raws.iter().map(|path| path_text(path)).collect(),
                object: matched,
            })?;
        } else if files_only {
            output.line(shown(&path))?;
        } else {
            let copies = match paths.count() {
                0 => String::new(),
                1 => "  (+1 copy)".to_owned(),
                count => format!("  (+{count} copies)"),
            };
            let mark = match file {
                FileState::There => "",
                FileState::Offline => "  (offline)",
                FileState::Gone => "  (gone)",
            };
            let raws = with_raws(&raws);
            let path = shown(&path);
            let object = matched.map_or(String::new(), |object| format!("  [{}]", object.text()));
            let chance = expected.map_or(String::new(), |images| format!("  {images:>8.3}"));
            let line = format!(
                "{rank:>rank_width$}  {:.4}{chance}  {path}{object}{copies}{raws}{mark}",
                hit.score
            );
            output.line(line)?;
        }
    }
    Ok(())
}
