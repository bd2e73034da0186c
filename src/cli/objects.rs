//! `lookalike objects`: the classes of the objects that were found, with their numbers.

use lookalike::query::ClassCount;
use lookalike::record::ClassId;
use serde::Serialize;

use super::args::{GlobalArgs, ObjectsArgs};
use super::output::{Output, counted};
use super::{Outcome, session};

/// A class as `--json` prints it.
#[derive(Serialize)]
struct ClassLine<'a> {
    class: &'a str,
    images: usize,
    objects: usize,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &ObjectsArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let mut counts = database.object_classes(&session::filter(&database, &args.filter)?)?;
    let names = database.object_class_names();
    if args.all {
        for (_, class) in names.iter().zip(0..) {
            if counts.iter().all(|count| count.class != ClassId(class)) {
                counts.push(ClassCount { class: ClassId(class), images: 0, objects: 0 });
            }
        }
    }
    counts.sort_by(|a, b| b.images.cmp(&a.images).then(a.class.cmp(&b.class)));
    for ClassCount { class, images, objects } in &counts {
        let class = names.get(usize::from(class.0)).map_or("", String::as_str);
        if output.json {
            output.object(&ClassLine { class, images: *images, objects: *objects })?;
        } else {
            let images = counted(*images as u64, "image");
            let objects = counted(*objects as u64, "object");
            output.line(format!("{class:<16}  {images:>12}  {objects:>14}"))?;
        }
    }
    Ok(if counts.is_empty() { Outcome::Nothing } else { Outcome::Done })
}
