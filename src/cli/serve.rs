//! `lookalike serve`: the gallery and the API of a database.

use std::io::Write;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;

use anyhow::Context;
use lookalike::server::{Limits, ServerOptions, serve};

use super::args::{GlobalArgs, NetworkArgs, ServeArgs};
use super::output::Output;
use super::{Outcome, index, locate, networks, session};

/// The key that requests must bring, where no file holds it: other users of a machine see arguments.
const KEY_VARIABLE: &str = "LOOKALIKE_API_KEY";

pub(super) fn run(
    global: &GlobalArgs,
    args: &ServeArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let address = address(&args.addr)?;
    let api_key = api_key(args)?;
    let directory = locate::for_indexing(global.db.as_deref(), &args.folder)?;
    let mut database = networks::create(&directory, &NetworkArgs::default())?;
    if let Some(detector) = session::wanted_detector(&args.objects)? {
        database = database.with_detector(detector);
    }
    let options = ServerOptions {
        address,
        host_names: args.host.clone(),
        limits: Limits::default(),
        index: index::options(global, &args.walk),
        folder: locate::absolute(&args.folder)?,
        // Imported embeddings have no folder, and are not to get this one.
        index_now: database.roots()?.is_empty() && database.stats()?.images == 0,
        // Whoever started the server may have closed its end of the pipe.
        on_failure: Arc::new(|text| drop(writeln!(std::io::stderr(), "lookalike: {text}"))),
        api_key,
    };
    if options.api_key.is_some() {
        output.note("every request must bring the key: `Authorization: Bearer KEY`");
    }
    serve(database, options, |address| {
        let url = format!("http://{address}/");
        output.note(format_args!("serving {} at {url}  (Ctrl-C ends)", directory.display()));
        if args.open && open::that_detached(&url).is_err() {
            output.warn(format_args!("there is no browser to open: visit {url}"));
        }
    })?;
    output.note("stopped");
    Ok(Outcome::Done)
}

fn address(text: &str) -> anyhow::Result<SocketAddr> {
    let mut found = text
        .to_socket_addrs()
        .with_context(|| format!("{text:?} is no address: expected one such as 127.0.0.1:7878"))?;
    found.next().with_context(|| format!("{text:?} has no address"))
}

fn api_key(args: &ServeArgs) -> anyhow::Result<Option<String>> {
    let key = match &args.api_key_file {
        Some(path) => {
            Some(std::fs::read_to_string(path).with_context(|| format!("cannot read {path:?}"))?)
        }
        None => std::env::var(KEY_VARIABLE).ok(),
    };
    Ok(key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty()))
}
