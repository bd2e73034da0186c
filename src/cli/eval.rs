//! `lookalike eval`: precision of the neighbors, with the folders as the classes.

use std::collections::HashMap;

use anyhow::Context;
use lookalike::{Database, IndexOptions, Search};
use serde::Serialize;

use super::args::{EvalArgs, EvalCommand, GlobalArgs};
use super::output::Output;
use super::{Outcome, eval_detection, index, locate, progress, session};

/// Ranks at which precision is measured.
const RANKS: [usize; 3] = [1, 5, 10];

/// Mean precision over all queries.
#[derive(Serialize)]
struct EvalLine {
    queries: usize,
    classes: usize,
    precision_at_1: f64,
    precision_at_5: f64,
    precision_at_10: f64,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &EvalArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    if let Some(EvalCommand::Detection(args)) = &args.what {
        return eval_detection::run(args, output);
    }
    let folder = args.folder.as_deref().context("give a folder")?;
    let directory = locate::for_indexing(global.db.as_deref(), folder)?;
    let folder = locate::absolute(folder)?;
    progress::listen_for_interrupt()?;
    let database = Database::create(&directory, session::encoder()?)?;
    let folders = [folder.clone()];
    let report = index::index(&database, &folders, &IndexOptions::default(), output)?;
    anyhow::ensure!(!report.interrupted, "stopped before the folder was indexed");
    let line = evaluate(&database, &folder)?;
    if output.json {
        output.object(&line)?;
    } else {
        output.line(format!("queries       {} in {} classes", line.queries, line.classes))?;
        output.line(format!("precision@1   {:.3}", line.precision_at_1))?;
        output.line(format!("precision@5   {:.3}", line.precision_at_5))?;
        output.line(format!("precision@10  {:.3}", line.precision_at_10))?;
    }
    Ok(if line.queries == 0 { Outcome::Nothing } else { Outcome::Done })
}

/// Leave-one-out: each image asks for its neighbors among all others.
///
/// Precision at k counts the neighbors of the query's class among the first k
/// and divides by k. Images that are alone in their class ask nothing.
fn evaluate(database: &Database, folder: &std::path::Path) -> anyhow::Result<EvalLine> {
    let under = Some(database.locate(folder));
    let filter = lookalike::Filter { under, ..Default::default() };
    let rows = database.images(&filter)?;
    let class_of: HashMap<_, _> = rows
        .iter()
        .filter_map(|row| {
            let path = row.locations.first()?.to_path(database.home());
            Some((row.id, path.parent()?.to_owned()))
        })
        .collect();
    let mut sizes: HashMap<&std::path::Path, usize> = HashMap::new();
    for class in class_of.values() {
        *sizes.entry(class).or_default() += 1;
    }
    let search = Search { top: RANKS[2], filter, exact: true, ..Search::default() };
    let mut sums = [0f64; RANKS.len()];
    let mut queries = 0usize;
    for row in &rows {
        let Some(class) = class_of.get(&row.id) else { continue };
        if sizes.get(class.as_path()).is_none_or(|size| *size < 2) {
            continue;
        }
        queries += 1;
        let hits = database.search_image(row.id, &search)?;
        let right: Vec<bool> =
            hits.iter().map(|hit| class_of.get(&hit.id) == Some(class)).collect();
        for (sum, rank) in sums.iter_mut().zip(RANKS) {
            let found = right.iter().take(rank).filter(|right| **right).count();
            *sum += found as f64 / rank as f64;
        }
    }
    let mean = |index: usize| sums[index] / queries.max(1) as f64;
    Ok(EvalLine {
        queries,
        classes: sizes.len(),
        precision_at_1: mean(0),
        precision_at_5: mean(1),
        precision_at_10: mean(2),
    })
}
