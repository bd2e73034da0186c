//! Networks: from pixels to embeddings and classes. The only module that knows candle.

mod classes;
mod encoder;
mod error;
mod layers;
mod models;
mod weights;

pub(crate) use classes::top_classes;
pub use encoder::Encoder;
pub use error::InferenceError;
pub use models::efficientnet_lite::{EfficientNetLite, Variant};
