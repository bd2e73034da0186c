//! What can be typed of `lookalike label`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use lookalike::learn::ClassifierKind;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum LabelCommand {
    /// Give images a label
    Add {
        /// The label
        label: String,
        /// Files in the database, or `#N` for an image's number
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
    },
    /// Take the label of images away
    Remove {
        /// Files in the database, or `#N` for an image's number
        #[arg(required = true, value_name = "IMAGE")]
        images: Vec<PathBuf>,
    },
    /// List the labels with their numbers of images
    List,
    /// Train a classifier on the labelled images
    Train {
        /// What to train
        #[arg(long, value_enum, default_value_t = Kind::Best, value_name = "KIND")]
        model: Kind,
        /// Seed of everything random
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
    },
    /// Let the classifier label all other images
    Predict {
        /// Label only as many images as can be had with at most this share of wrong labels, 0 to 1;
        /// the rest is for review
        #[arg(long, value_name = "SHARE", value_parser = super::parse_share)]
        error: Option<f32>,
        /// Show only images with at least this confidence, 0 to 1
        #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = super::parse_share)]
        min_confidence: f32,
    },
    /// Compare the classifiers on held-out examples
    Compare {
        /// Seed of everything random
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
    },
    /// Propose the images whose labels would teach most
    Review {
        /// Images to propose
        #[arg(long, value_name = "N", default_value_t = 20)]
        count: usize,
    },
    /// List labels that are probably mistakes, the surest first
    Errors {
        /// Labels to list
        #[arg(long, value_name = "N", default_value_t = 20)]
        count: usize,
        /// Seed of everything random
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
    },
}

/// What to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum Kind {
    /// The best of these in cross-validation
    Best,
    /// Logistic regression
    Logistic,
    /// A random forest
    Forest,
    /// A vote of the most similar examples
    Neighbors,
}

impl Kind {
    /// The kind in the library's words; none for the best.
    pub(in crate::cli) fn chosen(self) -> Option<ClassifierKind> {
        match self {
            Self::Best => None,
            Self::Logistic => Some(ClassifierKind::Logistic),
            Self::Forest => Some(ClassifierKind::Forest),
            Self::Neighbors => Some(ClassifierKind::Neighbors),
        }
    }
}
