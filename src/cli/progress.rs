//! A progress bar on a terminal, and Ctrl-C that ends a run without losing work.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Makes Ctrl-C ask for an orderly end; a second one ends the process at once.
///
/// # Errors
/// When the system refuses the handler.
pub(super) fn listen_for_interrupt() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if CANCELLED.swap(true, Ordering::SeqCst) {
            // 128 + SIGINT, as a shell reports it.
            std::process::exit(130);
        }
        eprintln!("\nlookalike: stopping; what is done is kept (Ctrl-C again ends at once)");
    })?;
    Ok(())
}

/// Whether Ctrl-C was pressed.
pub(super) fn interrupted() -> bool {
    CANCELLED.load(Ordering::SeqCst)
}

/// A bar over `noun`s with rate and time left; invisible unless standard error is a terminal.
pub(super) fn bar(noun: &str, quiet: bool) -> ProgressBar {
    if quiet || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template =
        format!("{{msg}} {{wide_bar}} {{human_pos}}/{{human_len}} {noun}, {{rate}}, {{eta}} left");
    let bar = ProgressBar::new(0);
    if let Ok(style) = ProgressStyle::with_template(&template) {
        bar.set_style(style.with_key("rate", rate));
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Moves a bar as a part of the library counts.
pub(super) fn on_counted(bar: &ProgressBar) -> impl Fn(u64, u64) {
    |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }
}

fn rate(state: &ProgressState, out: &mut dyn std::fmt::Write) {
    // There is nobody to tell that a bar cannot be drawn.
    let _ = write!(out, "{:.1}/s", state.per_sec());
}
