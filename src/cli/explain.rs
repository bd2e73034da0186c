//! `lookalike search --explain`: a picture of what makes a hit alike.

use std::path::Path;

use anyhow::{Context, bail};
use lookalike::imaging::{self, DecodeLimits};
use lookalike::query::explain;
use lookalike::record::ImageId;
use lookalike::{Database, Hit};

use super::args::SearchArgs;
use super::session;

/// Writes query and hit side by side, each with the heat of what it adds to their score: the
/// cosine of two embeddings is a sum over the positions of either image.
///
/// # Errors
/// When a file of the two cannot be read, or the picture not written.
pub(super) fn write(
    database: &Database,
    args: &SearchArgs,
    hit: &Hit,
    target: &Path,
) -> anyhow::Result<()> {
    let query = match (&args.image, args.id) {
        (Some(image), _) if image == Path::new("-") => {
            bail!("--explain reads the image twice: give it as a file")
        }
        (Some(image), _) => session::read_image(image)?.bytes,
        (None, Some(id)) => database.image_bytes(ImageId(id))?,
        (None, None) => bail!("give an image to search for"),
    };
    let hit = database.image_bytes(hit.id)?;
    let found = explain(database.encoder(), [&query, &hit], &DecodeLimits::default())?;
    let found = found.context("this network has no positions to explain by")?;
    let png = imaging::encode_png(&imaging::beside(&found.drawn(0), &found.drawn(1)));
    session::write_new(target, &png)
}
