//! `lookalike eval compare`: whether two spaces find the same images alike.

use std::fmt::Write as _;

use anyhow::Context;
use lookalike::learn::{Agreement, JOINT_BINS};
use lookalike::record::{Space, SpaceId};
use serde::Serialize;

use super::args::{EvalCompareArgs, GlobalArgs};
use super::cluster_page::escaped;
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
    let names = [left, right];
    let [left, right] = [find(&spaces, left)?, find(&spaces, right)?];
    let found = database.compare_spaces(left, right, args.seed)?;
    if let Some(target) = &args.out {
        session::write_new(target, picture(&found, names).as_bytes())?;
        output.note(format_args!("wrote {}", target.display()));
    }
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

/// Side of the square of the picture, and the room around it, in its units.
const SIDE: f64 = 640.0;
const ROOM: f64 = 70.0;

/// The pairs of images, those that lie close in the left space to the right, close in the right
/// one above: on a line where the spaces agree. Darker where there are more pairs.
fn picture(found: &Agreement, [left, right]: [&String; 2]) -> String {
    let filled = |at: &usize| found.joint.get(*at).is_some_and(|count| *count > 0);
    let cells: Vec<usize> = (0..JOINT_BINS * JOINT_BINS).filter(filled).collect();
    let bins = cells.iter().flat_map(|at| [at / JOINT_BINS, at % JOINT_BINS]);
    // Both axes show the same cosines, those that occur.
    let (first, end) =
        bins.fold((JOINT_BINS - 1, 1), |(low, high), bin| (low.min(bin), high.max(bin + 1)));
    let cell = SIDE / end.saturating_sub(first).max(1) as f64;
    let most = f64::from(found.joint.iter().copied().max().unwrap_or(1).max(1));
    let size = SIDE + 2.0 * ROOM;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {size} {size}\" \
         font-family=\"sans-serif\" font-size=\"18\" text-anchor=\"middle\">\n\
         <rect width=\"{size}\" height=\"{size}\" fill=\"#fff\"/>\n"
    );
    for at in cells {
        let x = ROOM + (at / JOINT_BINS - first) as f64 * cell;
        let y = ROOM + SIDE - (at % JOINT_BINS + 1 - first) as f64 * cell;
        let shade = 0.08 + 0.92 * f64::from(found.joint[at]).ln_1p() / most.ln_1p();
        let _ = writeln!(
            svg,
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{cell:.1}\" height=\"{cell:.1}\" \
             fill=\"#0050a0\" fill-opacity=\"{shade:.2}\"/>"
        );
    }
    let _ = writeln!(
        svg,
        "<rect x=\"{ROOM}\" y=\"{ROOM}\" width=\"{SIDE}\" height=\"{SIDE}\" fill=\"none\" \
         stroke=\"#444\"/>"
    );
    let cosine = |bin: usize| bin as f64 * 2.0 / JOINT_BINS as f64 - 1.0;
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let value = cosine(first) + (cosine(end) - cosine(first)) * share;
        let (x, y) = (ROOM + SIDE * share, ROOM + SIDE * (1.0 - share) + 6.0);
        let _ = writeln!(svg, "<text x=\"{x:.0}\" y=\"{:.0}\">{value:.2}</text>", size - 46.0);
        let _ = writeln!(svg, "<text x=\"40\" y=\"{y:.0}\">{value:.2}</text>");
    }
    let correlation =
        found.correlation.map_or(String::new(), |value| format!(", correlation {value:.3}"));
    let _ = writeln!(
        svg,
        "<text x=\"{0}\" y=\"40\">pairs of {1} images by cosine similarity{correlation}</text>\n\
         <text x=\"{0}\" y=\"{2}\">{3}</text>\n\
         <text transform=\"translate(16 {0}) rotate(-90)\">{4}</text>\n</svg>",
        size / 2.0,
        found.images,
        size - 14.0,
        escaped(left),
        escaped(right)
    );
    svg
}
