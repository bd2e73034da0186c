//! `lookalike outliers` and `lookalike issues`: images that stand out.

use lookalike::Database;
use lookalike::query::{Issue, Outlier};
use lookalike::record::ImageId;
use serde::Serialize;

use super::args::{GlobalArgs, IssuesArgs, OutliersArgs};
use super::output::{Output, counted, path_text, shown};
use super::{Outcome, session};

/// An outlier as `--json` prints it.
#[derive(Serialize)]
struct OutlierLine {
    id: ImageId,
    path: String,
    score: f32,
    z: f32,
    outlier: bool,
}

/// An issue as `--json` prints it.
#[derive(Serialize)]
struct IssueLine {
    id: ImageId,
    path: String,
    issue: Issue,
    value: f32,
}

pub(super) fn outliers(
    global: &GlobalArgs,
    args: &OutliersArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let filter = session::filter(&database, &args.filter)?;
    let outliers = database.outliers(&filter, args.neighbors.get())?;
    let far = outliers.iter().filter(|outlier| outlier.is_far()).count();
    for outlier in outliers.iter().take(args.top) {
        let path = path(&database, outlier.id)?;
        if output.json {
            let Outlier { id, score, z } = *outlier;
            let path = path_text(&path);
            output.object(&OutlierLine { id, path, score, z, outlier: outlier.is_far() })?;
        } else {
            let mark = if outlier.is_far() { "  (outlier)" } else { "" };
            output.line(format!("{:.4}  {}{mark}", outlier.score, shown(&path)))?;
        }
    }
    output.note(format_args!(
        "{} far from all others: z of {:.1} or less",
        counted(far as u64, "image"),
        Outlier::Z_MAX
    ));
    Ok(if outliers.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

pub(super) fn issues(
    global: &GlobalArgs,
    args: &IssuesArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let filter = session::filter(&database, &args.filter)?;
    let (issues, unjudged) = database.issues(&filter)?;
    for found in &issues {
        let path = path(&database, found.id)?;
        if output.json {
            let (id, path) = (found.id, path_text(&path));
            output.object(&IssueLine { id, path, issue: found.issue, value: found.value })?;
        } else {
            let name = found.issue.name();
            output.line(format!("{name:<15}  {:>8.4}  {}", found.value, shown(&path)))?;
        }
    }
    if unjudged > 0 {
        output.warn(format_args!(
            "{} could not be judged: `lookalike index` reads what is missing",
            counted(unjudged, "image")
        ));
    }
    output.note(counted(issues.len() as u64, "issue"));
    Ok(if issues.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

fn path(database: &Database, id: ImageId) -> anyhow::Result<std::path::PathBuf> {
    let locations = database.image(id)?.map(|row| row.locations).unwrap_or_default();
    Ok(locations.first().map(|location| location.to_path(database.home())).unwrap_or_default())
}
