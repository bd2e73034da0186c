//! Version 4: embeddings leave sled for files of their own, to which records refer.

use super::Migration;
use crate::store::keys::{self, Kind};
use crate::store::{StoreError, Writer, codec};

pub(super) const MIGRATION: Migration =
    Migration { to_version: 4, title: "embeddings in files of their own", apply };

/// Moves each embedding; only the references wait in memory for the end of the transaction.
fn apply(writer: &mut Writer<'_>) -> Result<(), StoreError> {
    for key in writer.keys(Kind::Embedding)? {
        let damaged = || codec::damaged(&key);
        let space = keys::read_space(&key).ok_or_else(damaged)?;
        let image = keys::read_image_id(&key).ok_or_else(damaged)?;
        let components = writer.payload(&key)?.ok_or_else(damaged)?;
        writer.put_components(space, image, &components)?;
        writer.remove(key)?;
    }
    Ok(())
}
