//! `lookalike roots`: the folders of the database, and which of them can be reached.

use lookalike::Offline;

use super::args::{GlobalArgs, RootsArgs};
use super::output::{Output, counted, shown};
use super::{Outcome, locate, session};

pub(super) fn run(
    global: &GlobalArgs,
    args: &RootsArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    if let Some(folder) = &args.forget {
        let folder = locate::absolute(folder)?;
        let files = database.forget_root(&folder)?;
        output.note(format_args!(
            "{} with {} forgotten: `lookalike gc` shows what is left of them",
            shown(&folder),
            counted(files, "file")
        ));
        return Ok(Outcome::Done);
    }
    let roots = database.roots()?;
    for root in &roots {
        if output.json {
            output.object(root)?;
            continue;
        }
        let state = match root.offline {
            None => "online",
            Some(Offline::Absent) => "offline: it is not there",
            Some(Offline::NotMounted) => "offline: its volume is not mounted",
            Some(Offline::Empty) => "offline: it is empty",
        };
        let files = counted(root.files, "file");
        output.line(format!("{}  {files}, {state}", shown(&root.path)))?;
    }
    Ok(if roots.is_empty() { Outcome::Nothing } else { Outcome::Done })
}
