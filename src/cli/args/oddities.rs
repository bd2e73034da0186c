//! Arguments of the commands about images that stand out.

use std::num::NonZeroUsize;

use clap::Args;

use super::FilterArgs;

#[derive(Debug, Args)]
pub(in crate::cli) struct OutliersArgs {
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArgs,
    /// Images shown, at most
    #[arg(long, short = 'k', value_name = "K", default_value_t = 20)]
    pub(in crate::cli) top: usize,
    /// Nearest images that each is compared with
    #[arg(long, value_name = "N", default_value = "5")]
    pub(in crate::cli) neighbors: NonZeroUsize,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct IssuesArgs {
    #[command(flatten)]
    pub(in crate::cli) filter: FilterArgs,
}
