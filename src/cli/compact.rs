//! `lookalike compact`: the same database in less room.

use std::path::Path;

use super::args::GlobalArgs;
use super::output::{Output, counted};
use super::{Outcome, locate, progress};

pub(super) fn run(global: &GlobalArgs, output: &Output) -> anyhow::Result<Outcome> {
    let directory = locate::existing(global.db.as_deref(), Path::new("."))?;
    let bar = progress::bar("records", output.quiet);
    bar.set_message("compacting");
    let report = lookalike::store::compact(&directory, &progress::on_counted(&bar));
    bar.finish_and_clear();
    let report = report?;
    if output.json {
        output.object(&report)?;
        return Ok(Outcome::Done);
    }
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    output.line(format!(
        "{} in {:.1} MB, {:.1} MB before",
        counted(report.records, "record"),
        megabytes(report.bytes_after),
        megabytes(report.bytes_before)
    ))?;
    Ok(Outcome::Done)
}
