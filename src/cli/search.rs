//! `lookalike search`: images like a given one.

use std::path::PathBuf;

use anyhow::{Context, bail};
use lookalike::imaging::DecodeLimits;
use lookalike::query::embed_file;
use lookalike::record::{ContentHash, ImageId};
use lookalike::{Database, FileState, Hit, IndexOptions, Search};
use serde::Serialize;

use super::args::{GlobalArgs, SearchArgs};
use super::output::{Output, path_text, shown, with_raws};
use super::{Outcome, index, locate, progress, session};

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
    search.filter.under = search.filter.under.or(scope.map(|folder| database.locate(&folder)));
    let hits = match (&args.image, args.id) {
        (Some(image), _) => search_file(&database, image, search)?,
        (None, Some(id)) => database.search_image(ImageId(id), &search)?,
        (None, None) => bail!("give an image to search for"),
    };
    print(&database, &hits, args.files_only, output)?;
    if hits.is_empty() {
        output.note("nothing found");
        return Ok(Outcome::Nothing);
    }
    Ok(Outcome::Done)
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
        return Ok((session::open_here(global)?, None));
    };
    let directory = locate::for_indexing(global.db.as_deref(), folder)?;
    let folder = locate::absolute(folder)?;
    progress::listen_for_interrupt()?;
    let database = Database::create(&directory, session::encoder()?)?;
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

fn search_file(
    database: &Database,
    image: &std::path::Path,
    mut search: Search,
) -> anyhow::Result<Vec<Hit>> {
    let given = session::read_image(image)?;
    if !given.from_pipe {
        search.exclude_location = Some(database.locate(&given.path));
    }
    let embedding = embed_file(database.encoder(), &given.bytes, &DecodeLimits::default())
        .with_context(|| session::unusable(image))?;
    Ok(database.search_embedding(&embedding, &search)?)
}

fn print(
    database: &Database,
    hits: &[Hit],
    files_only: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let rank_width = hits.len().to_string().len();
    let reach = database.reach()?;
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
        if output.json {
            output.object(&HitLine {
                rank,
                score: hit.score,
                path: path_text(&path),
                file,
                id: hit.id,
                hash: hit.hash,
                copies: paths.map(|path| path_text(&path)).collect(),
                raw: raws.iter().map(|path| path_text(path)).collect(),
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
            let line = format!("{rank:>rank_width$}  {:.4}  {path}{copies}{raws}{mark}", hit.score);
            output.line(line)?;
        }
    }
    Ok(())
}
