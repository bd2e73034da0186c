//! Arguments of the server.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(in crate::cli) struct ServeArgs {
    /// Folder of images; indexed when it has no database yet
    #[arg(value_name = "DIR", default_value = ".")]
    pub(in crate::cli) folder: PathBuf,
    /// Address to listen on; any but a loopback one needs a key
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:7878")]
    pub(in crate::cli) addr: String,
    /// Open the gallery in the browser
    #[arg(long)]
    pub(in crate::cli) open: bool,
    /// File with the key that every request must bring [default: LOOKALIKE_API_KEY, else none]
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) api_key_file: Option<PathBuf>,
    /// Name under which the server is called, beside its address; may be given several times
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) host: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) walk: super::WalkArgs,
    #[command(flatten)]
    pub(in crate::cli) objects: super::DetectorArgs,
}
