//! Version 2: the record of an image says where the photo was taken.

use serde::{Deserialize, Serialize};

use super::Migration;
use crate::store::keys::Kind;
use crate::store::{StoreError, Writer, codec};

pub(super) const MIGRATION: Migration =
    Migration { to_version: 2, title: "the position of an image", apply };

/// A record of version 1, as far as its length can be told from it.
#[derive(Serialize, Deserialize)]
struct Image {
    hash: [u8; 32],
    width_px: u32,
    height_px: u32,
    size_bytes: u64,
    format: String,
    orientation: u8,
    captured_at: Option<String>,
    camera: Option<String>,
    classes: Vec<(u16, f32)>,
}

/// What the new field is in an image whose position is not known.
const NO_POSITION: u8 = 0;

/// Appends the new field; a record that goes on after the old ones has it already.
fn apply(writer: &mut Writer<'_>) -> Result<(), StoreError> {
    for (key, mut payload) in writer.payloads(Kind::Image)? {
        let (_, rest) =
            postcard::take_from_bytes::<Image>(&payload).map_err(|_| codec::damaged(&key))?;
        if rest.is_empty() {
            payload.push(NO_POSITION);
            writer.put_raw(&key, &payload)?;
        }
    }
    Ok(())
}
