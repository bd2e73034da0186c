//! `lookalike index`: reads folders into the database.

use std::path::{Path, PathBuf};

use anyhow::bail;
use lookalike::{Control, Database, GraphPolicy, IndexOptions, IngestReport, WalkOptions};

use super::args::{GlobalArgs, IndexArgs, IndexKind, WalkArgs};
use super::output::{Output, counted, shown, thousands};
use super::{Outcome, locate, networks, progress, session};

/// Failures that are printed; all of them are in `lookalike list --failed`.
const FAILURES_SHOWN: usize = 10;

pub(super) fn run(
    global: &GlobalArgs,
    args: &IndexArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let (directory, named) = resolve(global, &args.folders)?;
    progress::listen_for_interrupt()?;
    // Packing weights is a good part of a small run, and takes one thread for each network.
    let (database, detector) = rayon::join(
        || networks::create(&directory, &args.network),
        || session::wanted_detector(&args.objects),
    );
    let mut database = database?;
    if let Some(detector) = detector? {
        database = database.with_detector(detector);
    }
    if let Some(recall) = args.recall {
        database = database.with_recall(recall);
    }
    let folders = folders(&database, named)?;
    let report = index(&database, &folders, &options(global, &args.walk), output)?;
    let policy = match args.vector_index {
        IndexKind::Auto => GraphPolicy::Auto,
        IndexKind::Exact => GraphPolicy::Never,
        IndexKind::Graph => GraphPolicy::Always,
    };
    if !report.interrupted {
        build_graph(&database, policy, output)?;
        // Drawn now, so that no search has to wait for it.
        database.chance()?;
    }
    if output.json {
        output.object(&report)?;
    } else {
        summarise(&report, output);
    }
    if report.interrupted {
        output.note("stopped early: run the same command again to go on");
        return Ok(Outcome::Failed);
    }
    Ok(if args.strict && !report.failed.is_empty() { Outcome::Failed } else { Outcome::Done })
}

/// Indexes folders with a progress bar.
///
/// # Errors
/// Those of the library.
pub(super) fn index(
    database: &Database,
    folders: &[PathBuf],
    options: &IndexOptions,
    output: &Output,
) -> anyhow::Result<IngestReport> {
    let bar = progress::bar("images", output.quiet);
    bar.set_message("indexing");
    let on_progress = |progress: &lookalike::Progress| {
        bar.set_length(progress.queued);
        bar.set_position(progress.done);
        bar.set_message(if progress.scanned { "indexing" } else { "scanning" });
    };
    let control = Control { cancelled: &progress::interrupted, on_progress: &on_progress };
    let report = database.index(folders, options, control);
    bar.finish_and_clear();
    Ok(report?)
}

/// Builds the vector graph if the policy asks for one.
///
/// # Errors
/// Those of the library.
fn build_graph(database: &Database, policy: GraphPolicy, output: &Output) -> anyhow::Result<()> {
    let bar = progress::bar("vectors", output.quiet);
    let built = database.update_graph(policy, &progress::interrupted, &|phase, done, total| {
        bar.set_message(phase.to_owned());
        bar.set_length(total as u64);
        bar.set_position(done as u64);
    });
    bar.finish_and_clear();
    if let Some(report) = built? {
        output.note(format_args!("{report}"));
    }
    Ok(())
}

/// Library options from what was typed.
pub(super) fn options(global: &GlobalArgs, walk: &WalkArgs) -> IndexOptions {
    let mut options = IndexOptions {
        walk: WalkOptions {
            hidden: walk.hidden,
            follow_links: walk.follow,
            no_ignore: walk.no_ignore,
            exclude: walk.exclude.clone(),
            depth_max: walk.max_depth,
        },
        thumbnails: !walk.no_thumbs,
        ..IndexOptions::default()
    };
    if let Some(threads) = global.threads {
        options.threads = threads.get();
    }
    options.limits.pixels_max = u64::from(walk.max_megapixels) * 1_000_000;
    options
}

/// The database that a command line means, and the folders that it names.
///
/// # Errors
/// When a folder cannot be found, or each would have a database of its own.
pub(super) fn resolve(
    global: &GlobalArgs,
    named: &[PathBuf],
) -> anyhow::Result<(PathBuf, Vec<PathBuf>)> {
    if named.is_empty() {
        let directory = locate::for_indexing(global.db.as_deref(), Path::new("."))?;
        return Ok((directory, Vec::new()));
    }
    let mut folders = Vec::new();
    let mut directories = Vec::new();
    for folder in named {
        directories.push(locate::for_indexing(global.db.as_deref(), folder)?);
        folders.push(locate::absolute(folder)?);
    }
    directories.sort();
    directories.dedup();
    match directories.as_slice() {
        [directory] => Ok((directory.clone(), folders)),
        _ => bail!(
            "these folders would each get a database of their own: \
             give --db PATH to keep them in one"
        ),
    }
}

/// The folders that were named, else those that were indexed before, else the
/// folder of the database if the current one lies in it.
///
/// # Errors
/// When there is no current folder; those of the library.
pub(super) fn folders(database: &Database, named: Vec<PathBuf>) -> anyhow::Result<Vec<PathBuf>> {
    if !named.is_empty() {
        return Ok(named);
    }
    let roots = database.roots()?;
    if !roots.is_empty() {
        return Ok(roots.into_iter().map(|root| root.path).collect());
    }
    let here = std::env::current_dir()?.canonicalize()?;
    let home = database.home();
    Ok(vec![if here.starts_with(home) { home.to_owned() } else { here }])
}

/// What a run changed, each kind that there was: `3 added`, `1 moved`.
pub(super) fn changes(report: &IngestReport, failed: usize) -> Vec<String> {
    let counts = [
        (report.added, "added"),
        (report.changed, "changed"),
        (report.moved, "moved"),
        (report.copied, "copied"),
        (report.returned, "returned"),
        (report.missing, "missing"),
        (failed as u64, "failed"),
    ];
    let there = counts.into_iter().filter(|(count, _)| *count > 0);
    there.map(|(count, what)| format!("{} {what}", thousands(count))).collect()
}

/// Says in a few lines what a run did.
pub(super) fn summarise(report: &IngestReport, output: &Output) {
    let seconds = report.elapsed.as_secs_f64();
    let mut parts = vec![format!("{} added", thousands(report.added))];
    parts.extend(
        changes(report, report.failed.len()).into_iter().skip(usize::from(report.added > 0)),
    );
    if report.unchanged > 0 {
        parts.push(format!("{} unchanged", thousands(report.unchanged)));
    }
    let mut line = format!("{} in {seconds:.1} s", parts.join(", "));
    if report.embedded > 0 {
        let rate = report.embedded as f64 / seconds.max(0.001);
        let images = counted(report.embedded, "image");
        let objects = match report.objects {
            0 => String::new(),
            objects => format!(" with {}", counted(objects, "object")),
        };
        line.push_str(&format!(" ({images}{objects} embedded, {rate:.1}/s)"));
    }
    output.note(line);
    if report.links_skipped > 0 {
        let links = counted(report.links_skipped, "symbolic link");
        output.note(format_args!("{links} not followed (--follow does)"));
    }
    for folder in &report.offline {
        output.note(format_args!(
            "{} is offline, or emptied: nothing in it counts as missing \
             (`lookalike roots` says why, and can forget it)",
            shown(folder)
        ));
    }
    for failure in report.failed.iter().take(FAILURES_SHOWN) {
        output.warn(format_args!("cannot read {}: {}", shown(&failure.path), failure.reason));
    }
    if report.failed.len() > FAILURES_SHOWN {
        let rest = report.failed.len() - FAILURES_SHOWN;
        output.note(format_args!("and {rest} more: `lookalike list --failed` shows all"));
    }
}
