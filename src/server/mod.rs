//! The HTTP server: an API for programs under `/v1`, and a gallery for people.
//!
//! The only module that knows axum. Handlers parse, ask the [`Database`], and render; what goes over
//! the wire has types of its own in `wire`. All reading, searching and computing happens on threads
//! that may block, in lanes with a bound, so that no request holds up the others.

mod app;
mod assets;
mod extract;
mod guard;
mod jobs;
mod lanes;
mod listen;
mod metrics;
mod openapi;
mod problem;
mod problems;
mod routes;
mod session;
mod upload;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::database::Database;
use crate::ingest::IndexOptions;

pub use guard::Names;

/// How to serve.
#[derive(Clone)]
pub struct ServerOptions {
    /// Where to listen; port 0 lets the system choose one.
    pub address: SocketAddr,
    /// What every request must bring; needed unless the address is a loopback one.
    pub api_key: Option<String>,
    /// Names under which the server is called, beside its address.
    pub host_names: Vec<String>,
    /// Bounds on single requests.
    pub limits: Limits,
    /// How an indexing job reads.
    pub index: IndexOptions,
    /// What an indexing job reads while no folder is known.
    pub folder: PathBuf,
    /// Begin to index at once.
    pub index_now: bool,
    /// Hears of failures that are no fault of the caller, with their causes.
    pub on_failure: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Bounds on what single requests may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Most bytes of an uploaded file.
    pub upload_bytes: usize,
    /// Most bytes of a JSON body.
    pub json_bytes: usize,
    /// Most pixels that an uploaded file may declare.
    pub upload_pixels: u64,
    /// Open connections; further ones wait.
    pub connections: usize,
    /// How long a head or a body may take to arrive, and how long a reader may stall.
    pub transfer: Duration,
    /// How long an answer may take.
    pub answer: Duration,
    /// How long requests may go on when the server is told to stop.
    pub farewell: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            upload_bytes: 64 << 20,
            json_bytes: 2 << 20,
            upload_pixels: 100_000_000,
            connections: 4096,
            transfer: Duration::from_secs(30),
            answer: Duration::from_secs(120),
            farewell: Duration::from_secs(10),
        }
    }
}

/// Why a server does not start, or ends.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The address is taken, or not of this machine.
    #[error("cannot listen on {address}: another port may be free (--addr HOST:PORT)")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than this machine could ask, and nothing keeps them out.
    #[error(
        "{address} can be reached from other machines: give a key of at least {key_letters_min} \
         letters in LOOKALIKE_API_KEY or --api-key-file"
    )]
    KeyNeeded {
        /// The address.
        address: SocketAddr,
        /// The shortest key that is taken.
        key_letters_min: usize,
    },
    /// The system gives no threads or signals.
    #[error("cannot start the server")]
    System(#[from] std::io::Error),
}

/// The shortest key that is taken.
const KEY_LETTERS_MIN: usize = 16;

/// Serves a database until the process is told to stop (Ctrl-C or SIGTERM), and closes it.
///
/// `on_ready` hears the address when requests are accepted.
///
/// # Errors
/// [`ServeError`].
pub fn serve(
    database: Database,
    options: ServerOptions,
    on_ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    let long_enough = |key: &String| key.chars().count() >= KEY_LETTERS_MIN;
    let is_open = !options.address.ip().is_loopback();
    if (is_open || options.api_key.is_some()) && !options.api_key.as_ref().is_some_and(long_enough)
    {
        let (address, key_letters_min) = (options.address, KEY_LETTERS_MIN);
        return Err(ServeError::KeyNeeded { address, key_letters_min });
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(lanes::THREADS_MAX)
        .enable_all()
        .build()?;
    let served = runtime.block_on(listen::run(database, options, on_ready));
    // What still computes for a client that has gone is not waited for.
    runtime.shutdown_timeout(Duration::from_secs(5));
    served
}

/// Threads that move bytes; all that takes long is done elsewhere.
const WORKERS: usize = 2;
