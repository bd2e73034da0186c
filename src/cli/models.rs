//! `lookalike models`: the networks that can be run, what they consist of, which of them serves.

use std::path::Path;

use lookalike::Error;
use lookalike::inference::{LayerSummary, Model};
use lookalike::record::Space;
use lookalike::store::{SpaceStats, Store, StoreError};
use serde::Serialize;

use super::args::{GlobalArgs, ModelsArgs, ModelsCommand};
use super::output::{Output, counted, path_text, thousands};
use super::{Outcome, locate, networks, session};

#[derive(Serialize)]
struct ModelLine {
    model: &'static str,
    input_side_px: u32,
    embedding_dimension: usize,
    parameters: usize,
    multiply_adds: u64,
    embedded: bool,
    spaces: Vec<SpaceLine>,
}

#[derive(Serialize)]
struct LayerLine<'a> {
    layer: &'a str,
    kind: &'a str,
    side_px: usize,
    channels: usize,
    parameters: usize,
    multiply_adds: u64,
}

/// The embeddings of one network in the database.
#[derive(Serialize)]
struct SpaceLine {
    embedded: u64,
    images: u64,
    serves: bool,
    weights: Option<String>,
    weights_digest: String,
    preprocessing: String,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &ModelsArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    match (&args.command, args.model) {
        (Some(ModelsCommand::Use { model, weights }), _) => {
            choose(global, *model, weights.as_deref(), output)
        }
        (Some(ModelsCommand::Remove { model }), _) => remove(global, model, output),
        (None, Some(model)) => info(model, output).map(|()| Outcome::Done),
        (None, None) => {
            let stored = stored(global, output)?;
            for model in Model::ALL {
                list(model, &stored, output)?;
            }
            Ok(Outcome::Done)
        }
    }
}

/// Lets a network serve, and says how much of the database it knows.
fn choose(
    global: &GlobalArgs,
    model: Model,
    weights: Option<&Path>,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let directory = locate::existing(global.db.as_deref(), Path::new("."))?;
    let network = networks::named(&directory, model, weights)?;
    let database = networks::choose(&directory, &network)?;
    let spaces = database.spaces()?;
    let own = spaces.iter().find(|space| space.network.space == *network.encoder.space());
    let (embedded, images) = own.map_or((0, 0), |space| (space.embedded, space.images));
    output.note(format_args!(
        "{} serves now, with {} of {}",
        model.name(),
        thousands(embedded),
        counted(images, "image")
    ));
    if embedded < images {
        output.note("`lookalike index` embeds the others");
    }
    Ok(Outcome::Done)
}

/// Removes the embeddings of a network that does not serve.
fn remove(global: &GlobalArgs, model: &str, output: &Output) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let spaces = database.spaces()?;
    let own = database.encoder().space();
    let alike = spaces.iter().map(|stats| &stats.network.space).filter(|it| it.model == model);
    let (own, others): (Vec<&Space>, Vec<&Space>) = alike.partition(|space| *space == own);
    if others.is_empty() {
        if !own.is_empty() {
            return Err(Error::Serves { model: model.to_owned() }.into());
        }
        output.note(format_args!("there are no embeddings of {model}"));
        return Ok(Outcome::Nothing);
    }
    let mut removed = 0;
    for space in others {
        removed += database.remove_space(space)?;
    }
    output.note(format_args!("{} of {model} removed", counted(removed, "record")));
    Ok(Outcome::Done)
}

/// The spaces of the database here, if there is one; those of one that is in use are not shown.
fn stored(global: &GlobalArgs, output: &Output) -> anyhow::Result<Vec<SpaceStats>> {
    let Ok(directory) = locate::existing(global.db.as_deref(), Path::new(".")) else {
        return Ok(Vec::new());
    };
    match Store::open(&directory) {
        Ok(store) => Ok(store.space_stats()?),
        Err(error @ StoreError::Locked { .. }) => {
            output.warn(format_args!("{error}"));
            Ok(Vec::new())
        }
        Err(error) => Err(error.into()),
    }
}

fn list(model: Model, stored: &[SpaceStats], output: &Output) -> anyhow::Result<()> {
    let layers = model.layers()?;
    let pooled = layers.iter().rev().find(|layer| layer.kind == "average pool");
    let line = ModelLine {
        model: model.name(),
        input_side_px: model.input_side_px(),
        embedding_dimension: pooled.map_or(0, |layer| layer.channels),
        parameters: layers.iter().map(|layer| layer.parameters).sum(),
        multiply_adds: layers.iter().map(|layer| layer.multiply_adds).sum(),
        embedded: model == Model::EfficientNetLite0,
        spaces: spaces_of(model, stored)?,
    };
    if output.json {
        return output.object(&line);
    }
    output.line(format!(
        "{:<18}  {} px  {:>4} dimensions  {:>4.1} M parameters  {:>4.2} G multiply-adds  {}",
        line.model,
        line.input_side_px,
        line.embedding_dimension,
        line.parameters as f64 / 1e6,
        line.multiply_adds as f64 / 1e9,
        if line.embedded { "in the program" } else { "needs a weights file" },
    ))?;
    for space in &line.spaces {
        output.line(format!(
            "{:<18}  {} of {} embedded{}{}",
            "",
            thousands(space.embedded),
            counted(space.images, "image"),
            space.weights.as_ref().map_or(String::new(), |path| format!(" by {path}")),
            if space.serves { ", serves" } else { "" },
        ))?;
    }
    Ok(())
}

/// The spaces of a network. Where none was chosen, that of the network in the program serves.
fn spaces_of(model: Model, stored: &[SpaceStats]) -> anyhow::Result<Vec<SpaceLine>> {
    if stored.is_empty() {
        return Ok(Vec::new());
    }
    let default = match stored.iter().any(|stats| stats.network.serves) {
        true => None,
        false => Some(session::encoder()?),
    };
    let is_default =
        |space: &Space| default.as_ref().is_some_and(|encoder| encoder.space() == space);
    let own = stored.iter().filter(|stats| stats.network.space.model == model.name());
    let line = |stats: &SpaceStats| SpaceLine {
        embedded: stats.embedded,
        images: stats.images,
        serves: stats.network.serves || is_default(&stats.network.space),
        weights: stats.network.weights.as_deref().map(path_text),
        weights_digest: stats.network.space.weights_digest.clone(),
        preprocessing: stats.network.space.preprocessing.clone(),
    };
    Ok(own.map(line).collect())
}

fn info(model: Model, output: &Output) -> anyhow::Result<()> {
    let layers = model.layers()?;
    for layer in &layers {
        if output.json {
            output.object(&LayerLine {
                layer: &layer.name,
                kind: &layer.kind,
                side_px: layer.side_px,
                channels: layer.channels,
                parameters: layer.parameters,
                multiply_adds: layer.multiply_adds,
            })?;
        } else {
            let extent = format!("{0} x {0} x {1}", layer.side_px, layer.channels);
            output.line(row(&layer.name, &layer.kind, &extent, std::slice::from_ref(layer)))?;
        }
    }
    if output.json {
        return Ok(());
    }
    let mut kinds: Vec<&str> = layers.iter().map(|layer| layer.kind.as_str()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    output.line("")?;
    for kind in kinds {
        let alike: Vec<LayerSummary> =
            layers.iter().filter(|layer| layer.kind == kind).cloned().collect();
        output.line(row("all", kind, "", &alike))?;
    }
    output.line(row("all", "", "", &layers))
}

fn row(name: &str, kind: &str, extent: &str, layers: &[LayerSummary]) -> String {
    let parameters: usize = layers.iter().map(|layer| layer.parameters).sum();
    let multiply_adds: u64 = layers.iter().map(|layer| layer.multiply_adds).sum();
    format!(
        "{name:<28}  {kind:<14}  {extent:>16}  {:>11} parameters  {:>9.2} M multiply-adds",
        thousands(parameters as u64),
        multiply_adds as f64 / 1e6,
    )
}
