//! `lookalike export --format coco`: the objects that were found, as other programs read them.

use std::path::Path;

use lookalike::Error;
use lookalike::objects::{ExportedImage, write_annotations};
use lookalike::query::Filter;

use super::args::GlobalArgs;
use super::output::{Output, counted, path_text};
use super::{Outcome, session};

pub(super) fn run(global: &GlobalArgs, target: &Path, output: &Output) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let mut images = Vec::new();
    let mut looked_at = false;
    for row in database.images(&Filter::default())? {
        let Some(location) = row.locations.first() else { continue };
        let objects = database.objects_on(row.id)?;
        looked_at |= objects.is_some();
        images.push(ExportedImage {
            id: row.id.0,
            file_name: path_text(&location.to_path(database.home())),
            width_px: row.record.width_px,
            height_px: row.record.height_px,
            objects: objects.unwrap_or_default(),
        });
    }
    if !looked_at && !images.is_empty() {
        return Err(Error::NoObjects.into());
    }
    let text = write_annotations(&images)?;
    session::write_new(target, text.as_bytes())?;
    let objects = images.iter().map(|image| image.objects.len()).sum::<usize>();
    if output.json {
        output.object(&serde_json::json!({"images": images.len(), "objects": objects}))?;
    } else {
        output.line(format!(
            "{}, {}",
            counted(images.len() as u64, "image"),
            counted(objects as u64, "object")
        ))?;
    }
    Ok(Outcome::Done)
}
