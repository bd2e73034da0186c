//! `lookalike gc`: forgets the images that are really gone, after showing which.

use lookalike::record::{ContentHash, ImageId};
use lookalike::{Database, Garbage};
use serde::Serialize;

use super::args::{GcArgs, GlobalArgs};
use super::output::{Output, counted, path_text, shown};
use super::{Outcome, session};

/// An image to be forgotten as `--json` prints it.
#[derive(Serialize)]
struct GarbageLine<'a> {
    id: ImageId,
    hash: ContentHash,
    paths: Vec<String>,
    size_bytes: u64,
    label: Option<&'a str>,
    removed: bool,
}

pub(super) fn run(global: &GlobalArgs, args: &GcArgs, output: &Output) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let garbage = database.garbage()?;
    if args.apply {
        database.remove_garbage(&garbage)?;
    }
    for image in &garbage {
        print(&database, image, args.apply, output)?;
    }
    for root in database.roots()?.iter().filter(|root| root.offline.is_some()) {
        output.note(format_args!("{} is offline: nothing in it is touched", shown(&root.path)));
    }
    if garbage.is_empty() {
        output.note("nothing is gone");
        return Ok(Outcome::Nothing);
    }
    let images = counted(garbage.len() as u64, "image");
    let labelled = garbage.iter().filter(|image| image.label.is_some()).count();
    if args.apply {
        output.note(format_args!("{images} removed from the database"));
    } else {
        output.note(format_args!("{images} would be removed from the database: --apply does it"));
    }
    if labelled > 0 {
        output.note(format_args!(
            "the labels of {} stay, and come back with the images",
            counted(labelled as u64, "image")
        ));
    }
    Ok(Outcome::Done)
}

fn print(
    database: &Database,
    image: &Garbage,
    removed: bool,
    output: &Output,
) -> anyhow::Result<()> {
    let paths: Vec<_> =
        image.missing.iter().map(|location| location.to_path(database.home())).collect();
    if output.json {
        return output.object(&GarbageLine {
            id: image.id,
            hash: image.hash,
            paths: paths.iter().map(|path| path_text(path)).collect(),
            size_bytes: image.size_bytes,
            label: image.label.as_deref(),
            removed,
        });
    }
    let id = image.id.to_string();
    if paths.is_empty() {
        return output.line(format!("{id:>7}  (its files hold other images now)"));
    }
    paths.iter().try_for_each(|path| output.line(format!("{id:>7}  {}", shown(path))))
}
