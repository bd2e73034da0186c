//! `lookalike eval`: how well images of one folder find each other, with the folders as classes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use lookalike::learn::Retrieval;
use lookalike::{Database, Filter, IndexOptions};
use serde::Serialize;

use super::args::{EvalArgs, EvalCommand, GlobalArgs};
use super::output::{Output, path_text, shown};
use super::{Outcome, eval_compare, eval_detection, index, locate, networks, progress};

/// Means over all queries, or over those of one folder, as `--json` prints them.
#[derive(Serialize)]
struct EvalLine {
    /// Absent for all.
    class: Option<String>,
    /// Folders with an image; of a folder 1.
    classes: usize,
    #[serde(flatten)]
    means: Retrieval,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &EvalArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    match (&args.what, &args.folder) {
        (Some(EvalCommand::Detection(args)), _) => eval_detection::run(args, output),
        (Some(EvalCommand::Compare(args)), _) => eval_compare::run(global, args, output),
        (Some(EvalCommand::Retrieval(args)), _) => {
            retrieval(global, &args.labels_from_folders, output)
        }
        (None, folder) => retrieval(global, folder.as_deref().context("give a folder")?, output),
    }
}

/// Indexes a folder if need be, and lets each image ask for its neighbors among all others.
fn retrieval(global: &GlobalArgs, folder: &Path, output: &Output) -> anyhow::Result<Outcome> {
    let directory = locate::for_indexing(global.db.as_deref(), folder)?;
    let folder = locate::absolute(folder)?;
    progress::listen_for_interrupt()?;
    let database = Database::create(&directory, networks::serving(&directory)?)?;
    let folders = [folder.clone()];
    let report = index::index(&database, &folders, &IndexOptions::default(), output)?;
    anyhow::ensure!(!report.interrupted, "stopped before the folder was indexed");
    let filter = Filter { under: Some(database.locate(&folder)), ..Default::default() };
    let parent = |row: &lookalike::ImageRow| -> Option<PathBuf> {
        Some(row.locations.first()?.to_path(database.home()).parent()?.to_owned())
    };
    let mut classes: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for row in database.images(&filter)? {
        let next = classes.len();
        if let Some(parent) = parent(&row) {
            classes.entry(parent).or_insert(next);
        }
    }
    if classes.is_empty() {
        output.note(format_args!("no image below {}", shown(&folder)));
        return Ok(Outcome::Nothing);
    }
    let class_of = |row: &lookalike::ImageRow| classes.get(&parent(row)?).copied();
    let (all, per_class) = database.evaluate_retrieval(&filter, &class_of)?;
    let nothing = all.queries == 0;
    print(&classes, all, &per_class, output)?;
    Ok(if nothing { Outcome::Nothing } else { Outcome::Done })
}

fn print(
    classes: &BTreeMap<PathBuf, usize>,
    all: Retrieval,
    per_class: &[Retrieval],
    output: &Output,
) -> anyhow::Result<()> {
    let of_class = classes.iter().filter_map(|(folder, &class)| {
        Some((folder, per_class.get(class).filter(|means| means.queries > 0)?))
    });
    if output.json {
        output.object(&EvalLine { class: None, classes: classes.len(), means: all })?;
        for (folder, means) in of_class {
            let class = Some(path_text(folder));
            output.object(&EvalLine { class, classes: 1, means: means.clone() })?;
        }
        return Ok(());
    }
    output.line(format!("queries       {} in {} classes", all.queries, classes.len()))?;
    output.line(format!("precision@1   {:.3}", all.precision_at_1))?;
    output.line(format!("precision@5   {:.3}", all.precision_at_5))?;
    output.line(format!("precision@10  {:.3}", all.precision_at_10))?;
    output.line(format!("recall@10     {:.3}", all.recall_at_10))?;
    output.line(format!("mAP           {:.3}", all.mean_average_precision))?;
    output.line("")?;
    output.line("queries  @1     @5     @10    recall mAP    class")?;
    for (folder, means) in of_class {
        output.line(format!(
            "{:>7}  {:.3}  {:.3}  {:.3}  {:.3}  {:.3}  {}",
            means.queries,
            means.precision_at_1,
            means.precision_at_5,
            means.precision_at_10,
            means.recall_at_10,
            means.mean_average_precision,
            shown(folder)
        ))?;
    }
    Ok(())
}
