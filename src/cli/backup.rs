//! `lookalike backup` and `lookalike restore`: the whole database aside, and back.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use super::args::{BackupArgs, GlobalArgs, RestoreArgs};
use super::output::{Output, counted, path_text, shown};
use super::{Outcome, locate, progress};

#[derive(Serialize)]
struct BackupLine {
    backup: String,
    records: u64,
}

pub(super) fn backup(
    global: &GlobalArgs,
    args: &BackupArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let directory = locate::existing(global.db.as_deref(), Path::new("."))?;
    let target = locate::absolute(&args.target)?;
    let bar = progress::bar("records", output.quiet);
    bar.set_message("copying");
    let patience = Duration::from_secs(args.wait);
    let on_wait = |holder: &str| {
        output
            .note(format_args!("{holder} has the database: it makes the copy when it writes next"));
    };
    let on_copied = progress::on_counted(&bar);
    let copied = lookalike::store::backup(&directory, &target, patience, &on_copied, &on_wait);
    bar.finish_and_clear();
    let records = copied?;
    if output.json {
        output.object(&BackupLine { backup: path_text(&args.target), records })?;
    } else {
        output.line(format!("{} in {}", counted(records, "record"), shown(&args.target)))?;
    }
    Ok(Outcome::Done)
}

pub(super) fn restore(
    global: &GlobalArgs,
    args: &RestoreArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let directory = locate::for_indexing(global.db.as_deref(), Path::new("."))?;
    let report = lookalike::store::restore(&args.backup, &directory, args.replace)?;
    if output.json {
        output.object(&report)?;
    } else {
        output.line(format!("{} restored to {}", report.records, shown(&directory)))?;
    }
    Ok(Outcome::Done)
}
