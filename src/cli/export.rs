//! `lookalike export` and `lookalike import`: the content of the database for other programs.

use std::path::Path;

use lookalike::store::{ExchangeReport, ExportFormat, Store};

use super::args::{ExportArgs, ExportKind, GlobalArgs, ImportArgs};
use super::output::{Output, counted};
use super::{Outcome, export_objects, locate, progress};

pub(super) fn export(
    global: &GlobalArgs,
    args: &ExportArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let format = match args.format {
        ExportKind::Jsonl => ExportFormat::Jsonl,
        ExportKind::Npy => ExportFormat::Npy,
        ExportKind::Parquet => ExportFormat::Parquet,
        ExportKind::Coco => return export_objects::run(global, &args.target, output),
    };
    let store = Store::open(&locate::existing(global.db.as_deref(), Path::new("."))?)?;
    let bar = progress::bar("images", output.quiet);
    bar.set_message("exporting");
    let report = store.export(&args.target, format, &progress::on_counted(&bar));
    bar.finish_and_clear();
    print(&report?, output)
}

pub(super) fn import(
    global: &GlobalArgs,
    args: &ImportArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let store = Store::create(&locate::for_indexing(global.db.as_deref(), Path::new("."))?)?;
    let bar = progress::bar("lines", output.quiet);
    bar.set_message("importing");
    let report = store.import(&args.source, &|lines| bar.set_position(lines));
    bar.finish_and_clear();
    print(&report?, output)
}

fn print(report: &ExchangeReport, output: &Output) -> anyhow::Result<Outcome> {
    if output.json {
        output.object(report)?;
    } else {
        output.line(format!(
            "{}, {}, {}, {}",
            counted(report.images, "image"),
            counted(report.embeddings, "embedding"),
            counted(report.objects, "object"),
            counted(report.labels, "label")
        ))?;
    }
    Ok(Outcome::Done)
}
