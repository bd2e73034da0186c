//! `lookalike eval compare`: whether two spaces find the same images alike.

use anyhow::Context;
use lookalike::record::{Space, SpaceId};
use serde::Serialize;

use super::args::{EvalCompareArgs, GlobalArgs};
use super::output::{Output, counted};
use super::{Outcome, session};

/// A space as `--json` lists it.
#[derive(Serialize)]
struct SpaceLine<'a> {
    space: SpaceId,
    name: &'a str,
    model: &'a str,
    dimension: u32,
    preprocessing: &'a str,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &EvalCompareArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let spaces = database.all_spaces()?;
    let (Some(left), Some(right)) = (&args.left, &args.right) else {
        return list(&spaces, output);
    };
    let [left, right] = [find(&spaces, left)?, find(&spaces, right)?];
    let found = database.compare_spaces(left, right, args.seed)?;
    if output.json {
        output.object(&found)?;
    } else {
        output.line(format!("{} in both spaces", counted(found.images as u64, "image")))?;
        if let Some(correlation) = found.correlation {
            output.line(format!("correlation of the similarities   {correlation:.3}"))?;
        }
        output.line(format!(
            "neighbors in common               {:.3} of the nearest {}",
            found.neighbor_overlap, found.neighbors
        ))?;
    }
    Ok(Outcome::Done)
}

fn list(spaces: &[(SpaceId, Space)], output: &Output) -> anyhow::Result<Outcome> {
    for (id, space) in spaces {
        if output.json {
            output.object(&SpaceLine {
                space: *id,
                name: &space.name,
                model: &space.model,
                dimension: space.dimension,
                preprocessing: &space.preprocessing,
            })?;
        } else {
            output.line(format!(
                "{}  {} by {}, {} components; {}",
                id.0, space.name, space.model, space.dimension, space.preprocessing
            ))?;
        }
    }
    Ok(if spaces.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

/// Finds a space by its number, or by its network where only one space has it.
fn find(spaces: &[(SpaceId, Space)], wanted: &str) -> anyhow::Result<SpaceId> {
    let by_number = spaces.iter().find(|(id, _)| id.0.to_string() == wanted);
    let mut by_model = spaces.iter().filter(|(_, space)| space.model == wanted);
    let only = by_model.next().filter(|_| by_model.next().is_none());
    let found = by_number.or(only).map(|(id, _)| *id);
    found.with_context(|| {
        format!("no one space is {wanted:?}: `lookalike eval compare` lists them with numbers")
    })
}
