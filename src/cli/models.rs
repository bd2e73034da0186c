//! `lookalike models`: the networks that can be run, and what they consist of.

use lookalike::inference::{LayerSummary, Model};
use serde::Serialize;

use super::Outcome;
use super::args::ModelsArgs;
use super::output::{Output, thousands};

#[derive(Serialize)]
struct ModelLine {
    model: &'static str,
    input_side_px: u32,
    embedding_dimension: usize,
    parameters: usize,
    multiply_adds: u64,
    embedded: bool,
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

pub(super) fn run(args: &ModelsArgs, output: &Output) -> anyhow::Result<Outcome> {
    match args.model {
        Some(model) => info(model, output)?,
        None => {
            for model in Model::ALL {
                list(model, output)?;
            }
        }
    }
    Ok(Outcome::Done)
}

fn list(model: Model, output: &Output) -> anyhow::Result<()> {
    let layers = model.layers()?;
    let pooled = layers.iter().rev().find(|layer| layer.kind == "average pool");
    let line = ModelLine {
        model: model.name(),
        input_side_px: model.input_side_px(),
        embedding_dimension: pooled.map_or(0, |layer| layer.channels),
        parameters: layers.iter().map(|layer| layer.parameters).sum(),
        multiply_adds: layers.iter().map(|layer| layer.multiply_adds).sum(),
        embedded: model == Model::EfficientNetLite0,
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
    ))
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
