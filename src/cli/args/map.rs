//! Arguments of `map`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lookalike::query::Layout;

#[derive(Debug, Args)]
pub(in crate::cli) struct MapArgs {
    /// How images are laid out [default: tsne up to 10,000 images, else pca]
    #[arg(long, value_enum, value_name = "NAME")]
    pub(in crate::cli) method: Option<MapMethod>,
    /// Write a picture: with .png the images themselves, with .svg a dot for each, by its label
    #[arg(long, short, value_name = "FILE")]
    pub(in crate::cli) out: Option<PathBuf>,
    /// Side of the PNG, in pixels
    #[arg(long, value_name = "PX", default_value_t = 2400,
        value_parser = clap::value_parser!(u32).range(200..=16_384))]
    pub(in crate::cli) size: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum MapMethod {
    /// Principal components: at once, the large differences only
    Pca,
    /// t-SNE: neighbors stay neighbors
    Tsne,
}

impl From<MapMethod> for Layout {
    fn from(method: MapMethod) -> Self {
        match method {
            MapMethod::Pca => Self::Pca,
            MapMethod::Tsne => Self::Tsne,
        }
    }
}
