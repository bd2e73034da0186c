//! Arguments about networks and the index over their embeddings.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use lookalike::inference::Model;

use super::model;

#[derive(Debug, Default, Args)]
pub(in crate::cli) struct NetworkArgs {
    /// Network that embeds the images, as `lookalike models` names it [default: the one that serves]
    #[arg(long, value_name = "NAME", value_parser = model)]
    pub(in crate::cli) model: Option<Model>,
    /// Its weights, a safetensors file [default: where they were read from before]
    #[arg(long, value_name = "FILE", requires = "model")]
    pub(in crate::cli) weights: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(in crate::cli) struct ModelsArgs {
    /// Network whose layers are shown [default: list the networks]
    #[arg(value_name = "NAME", value_parser = model)]
    pub(in crate::cli) model: Option<Model>,
    #[command(subcommand)]
    pub(in crate::cli) command: Option<ModelsCommand>,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ModelsCommand {
    /// Let a network serve the searches of the database
    Use {
        /// Network that has embedded the images: `lookalike index --model NAME`
        #[arg(value_name = "NAME", value_parser = model)]
        model: Model,
        /// Its weights, a safetensors file [default: where they were read from before]
        #[arg(long, value_name = "FILE")]
        weights: Option<PathBuf>,
    },
    /// Remove the embeddings of a network that does not serve
    Remove {
        /// Its name
        #[arg(value_name = "NAME")]
        model: String,
    },
}

/// Reads a recall.
///
/// # Errors
/// What would be accepted.
pub(super) fn parse_recall(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(recall) if (0.5..=0.999).contains(&recall) => Ok(recall),
        _ => Err("a recall lies between 0.5 and 0.999; `search --exact` finds all".to_owned()),
    }
}
