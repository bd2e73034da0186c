//! `lookalike stats`: what the database holds, in numbers.

use super::args::GlobalArgs;
use super::output::{Output, counted, shown, thousands};
use super::{Outcome, session};

pub(super) fn run(global: &GlobalArgs, output: &Output) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let stats = database.stats()?;
    if output.json {
        output.object(&stats)?;
        return Ok(Outcome::Done);
    }
    let formats: Vec<String> =
        stats.formats.iter().map(|(name, count)| format!("{count} {name}")).collect();
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let space = &stats.space;
    let lines = [
        ("database", shown(database.directory())),
        ("images", format!("{} ({})", thousands(stats.images), formats.join(", "))),
        ("files", format!("{}, {}", counted(stats.files, "file"), megabytes(stats.image_bytes))),
        ("offline", counted(stats.files_offline, "file")),
        ("missing", counted(stats.images_missing, "image")),
        ("failed", counted(stats.files_failed, "file")),
        (
            "labels",
            format!("{} by you, {} learned", thousands(stats.labelled), thousands(stats.predicted)),
        ),
        (
            "objects",
            format!(
                "{} on {}",
                thousands(stats.objects),
                counted(stats.images_searched_for_objects, "image")
            ),
        ),
        ("network", format!("{}, {} dimensions", space.model, space.dimension)),
        ("input", space.preprocessing.clone()),
        ("index", format!("{}, {}", stats.vector_index, counted(stats.embeddings, "embedding"))),
        (
            "store",
            format!(
                "{}, format {}, transaction {}",
                megabytes(stats.store_bytes),
                stats.format_version,
                stats.sequence
            ),
        ),
    ];
    for (name, value) in lines {
        output.line(format!("{name:>9}  {value}"))?;
    }
    Ok(Outcome::Done)
}
