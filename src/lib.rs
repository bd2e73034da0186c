//! Image similarity search: an embeddable database of images.

pub mod record;
pub mod pixels;
pub mod vector;
pub mod imaging;
pub mod index;
pub mod learn;
pub mod store;
pub mod inference;
pub mod ingest;
