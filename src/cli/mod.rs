//! The command line: parses, asks the library, prints.

mod args;
mod backup;
mod bench;
mod classify;
mod cluster;
mod cluster_page;
mod compact;
mod detect;
mod dupes;
mod eval;
mod eval_compare;
mod eval_detection;
mod explain;
mod export;
mod export_objects;
mod gc;
mod index;
mod label;
mod label_learn;
mod list;
mod locate;
mod map;
mod models;
mod networks;
mod objects;
mod oddities;
mod output;
mod progress;
mod roots;
mod search;
mod serve;
mod session;
mod stats;
mod verify;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, Command};
use output::Output;

/// How a command ended, as grep has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Found or done: 0.
    Done,
    /// Nothing found: 1.
    Nothing,
    /// Something failed, even if the rest went on: 2.
    Failed,
}

/// Runs the program with the arguments of the process.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output { json: arguments.global.json, quiet: arguments.global.quiet };
    match dispatch(arguments, &output) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Nothing) => ExitCode::from(1),
        Ok(Outcome::Failed) => ExitCode::from(2),
        // Whoever reads has seen enough: `lookalike list | head` is no failure.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.warn(format_args!("{error:#}"));
            ExitCode::from(2)
        }
    }
}

fn dispatch(arguments: Arguments, output: &Output) -> anyhow::Result<Outcome> {
    let global = &arguments.global;
    if let Some(threads) = global.threads {
        rayon::ThreadPoolBuilder::new().num_threads(threads.get()).build_global()?;
    }
    match arguments.command {
        Command::Index(args) => index::run(global, &args, output),
        Command::Watch(args) => watch::run(global, &args, output),
        Command::Search(args) => search::run(global, &args, output),
        Command::Serve(args) => serve::run(global, &args, output),
        Command::Cluster(args) => cluster::run(global, &args, output),
        Command::Dupes(args) => dupes::run(global, &args, output),
        Command::Leak(args) => dupes::leak(global, &args, output),
        Command::Outliers(args) => oddities::outliers(global, &args, output),
        Command::Issues(args) => oddities::issues(global, &args, output),
        Command::Map(args) => map::run(global, &args, output),
        Command::Label(command) => label::run(global, &command, output),
        Command::Classify(args) => classify::classify(&args, output),
        Command::Detect(args) => detect::run(&args, output),
        Command::Objects(args) => objects::run(global, &args, output),
        Command::Embed(args) => classify::embed(&args, output),
        Command::List(args) => list::run(global, &args, output),
        Command::Roots(args) => roots::run(global, &args, output),
        Command::Gc(args) => gc::run(global, &args, output),
        Command::Stats => stats::run(global, output),
        Command::Verify(args) => verify::run(global, &args, output),
        Command::Eval(args) => eval::run(global, &args, output),
        Command::Bench(args) => bench::run(&args, output),
        Command::Models(args) => models::run(global, &args, output),
        Command::Compact => compact::run(global, output),
        Command::Backup(args) => backup::backup(global, &args, output),
        Command::Restore(args) => backup::restore(global, &args, output),
        Command::Export(args) => export::export(global, &args, output),
        Command::Import(args) => export::import(global, &args, output),
        Command::Repair => verify::repair(global, output),
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
