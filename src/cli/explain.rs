//! `lookalike search --explain`: a picture of what makes a hit alike.

use std::path::Path;

use anyhow::{Context, bail};
use lookalike::imaging::{self, DecodeLimits};
use lookalike::pixels::Pixels;
use lookalike::record::ImageId;
use lookalike::vector::Embedding;
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
        (None, Some(id)) => stored_bytes(database, ImageId(id))?,
        (None, None) => bail!("give an image to search for"),
    };
    let query = Seen::of(database, &query)?;
    let hit = Seen::of(database, &stored_bytes(database, hit.id)?)?;
    let shares = [query.shares(&hit)?, hit.shares(&query)?];
    // One scale for both, so that their colors mean the same.
    let greatest = shares.iter().flat_map(|(_, shares)| shares).copied().fold(0f32, f32::max);
    let [left, right] = [(query, &shares[0]), (hit, &shares[1])].map(|(seen, (side, shares))| {
        let mut pixels = seen.pixels;
        imaging::draw_heat(&mut pixels, *side, shares, greatest);
        pixels
    });
    let png = imaging::encode_png(&imaging::beside(&left, &right));
    session::write_new(target, &png)
}

/// An image as the network sees it.
struct Seen<'a> {
    database: &'a Database,
    pixels: Pixels,
    square: Pixels,
    embedding: Embedding,
}

impl<'a> Seen<'a> {
    fn of(database: &'a Database, bytes: &[u8]) -> anyhow::Result<Self> {
        let encoder = database.encoder();
        let side_min_px = imaging::side_needed_px(encoder.input_side_px());
        let image = imaging::decode_at_least(bytes, &DecodeLimits::default(), side_min_px)?;
        let square = imaging::squash(&image.pixels, encoder.input_side_px());
        let embedding = encoder.embed(std::slice::from_ref(&square))?.remove(0);
        Ok(Self { database, pixels: image.pixels, square, embedding })
    }

    /// Positions along an axis, and what each adds to the score with another image.
    fn shares(&self, other: &Self) -> anyhow::Result<(usize, Vec<f32>)> {
        let map = self.database.encoder().feature_map(&self.square)?;
        let map = map.context("this network has no positions to explain by")?;
        Ok((map.side, map.shares(&other.embedding)))
    }
}

/// The bytes of an image of the database, from the first of its files that can be read.
fn stored_bytes(database: &Database, id: ImageId) -> anyhow::Result<Vec<u8>> {
    let row = database.image(id)?.context("the image is no longer there")?;
    let paths = row.locations.iter().map(|location| location.to_path(database.home()));
    paths
        .filter_map(|path| std::fs::read(path).ok())
        .next()
        .with_context(|| format!("no file of image {id} can be read"))
}
