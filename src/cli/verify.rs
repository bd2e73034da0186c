//! `lookalike verify` and `lookalike repair`: is all there, and what can be saved.

use super::args::{GlobalArgs, VerifyArgs};
use super::output::{Output, counted, shown};
use super::{Outcome, locate, progress, session};

pub(super) fn run(
    global: &GlobalArgs,
    args: &VerifyArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let report = database.verify(args.queries)?;
    if output.json {
        output.object(&report)?;
    } else {
        output.line(format!("records   {} read, every checksum right", report.records))?;
        output.line(format!("manifest  agrees, transaction {}", report.sequence))?;
        output.line(format!("index     {}", report.index))?;
        for problem in &report.problems {
            output.line(format!("problem   {problem}"))?;
        }
    }
    Ok(if report.problems.is_empty() { Outcome::Done } else { Outcome::Failed })
}

pub(super) fn repair(global: &GlobalArgs, output: &Output) -> anyhow::Result<Outcome> {
    let directory = locate::existing(global.db.as_deref(), std::path::Path::new("."))?;
    let bar = progress::bar("records", output.quiet);
    bar.set_message("repairing");
    let report = lookalike::store::repair(&directory)?;
    bar.finish_and_clear();
    if output.json {
        output.object(&report)?;
        return Ok(Outcome::Done);
    }
    output.line(format!("{} saved", counted(report.records_saved, "record")))?;
    if report.records_damaged > 0 {
        output.line(format!("{} damaged", counted(report.records_damaged, "record")))?;
    }
    if let Some(reason) = &report.stopped_by {
        output.line(format!("reading the old store ended early: {reason}"))?;
    }
    output.line(format!(
        "{} of the label journal applied",
        counted(report.labels_replayed, "line")
    ))?;
    if let Some(kept) = &report.kept {
        output.note(format_args!("the old store stays at {} until you delete it", shown(kept)));
    }
    output.note("run `lookalike index` now: it reads again what was lost");
    Ok(Outcome::Done)
}
