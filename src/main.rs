//! The `lookalike` program: everything is in the library and in `cli`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    quiet_guarded_panics();
    cli::run()
}

/// Panics inside the store's engine become errors with a message of our own;
/// their text would only frighten.
fn quiet_guarded_panics() {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() != Some(lookalike::store::GUARD_THREAD) {
            print(panic);
        }
    }));
}
