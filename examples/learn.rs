//! Times k-means, DBSCAN and the forest over a file of vectors, and writes what they found.
//!
//! `learn FOLDER kmeans K SEED`, `learn FOLDER dbscan EPS MIN_POINTS` or
//! `learn FOLDER forest TREES SEED` read `rows.f32` (and for the forest `labels.u32`,
//! `test.f32`) and the dimension from `meta.json`, write `found.i32` and print one object of JSON.
//! `benches/peers/learn.py` runs it beside other libraries.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use lookalike::learn::{self, Clustering, Forest, ForestParams};
use ndarray::Array2;
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, task, first, second] = arguments.as_slice() else {
        return Err("usage: learn FOLDER kmeans K SEED|dbscan EPS MIN|forest TREES SEED".into());
    };
    let folder = Path::new(folder);
    let meta: Value = serde_json::from_slice(&std::fs::read(folder.join("meta.json"))?)?;
    let dimension = meta["dimension"].as_u64().ok_or("meta.json names no dimension")? as usize;
    let rows = read_rows(&folder.join("rows.f32"), dimension)?;
    let started = Instant::now();
    let (found, fit_s) = match task.as_str() {
        "kmeans" => {
            let found = learn::kmeans(rows.view(), first.parse()?, second.parse()?)?;
            (names(&found), started.elapsed())
        }
        "dbscan" => {
            let found = learn::dbscan(rows.view(), first.parse()?, second.parse()?)?;
            (names(&found), started.elapsed())
        }
        "forest" => {
            let labels = read_labels(&folder.join("labels.u32"))?;
            let test = read_rows(&folder.join("test.f32"), dimension)?;
            let classes = labels.iter().max().map_or(0, |label| label + 1);
            let mut params = ForestParams::for_dimension(dimension);
            (params.trees, params.seed) = (first.parse()?, second.parse()?);
            let started = Instant::now();
            let forest = Forest::train(rows.view(), &labels, classes, &params)?;
            let found = forest.predict(test.view())?;
            let seconds = started.elapsed();
            (found.iter().map(|row| row.class as i32).collect(), seconds)
        }
        _ => return Err("expected kmeans, dbscan or forest".into()),
    };
    let bytes: Vec<u8> = found.iter().flat_map(|name: &i32| name.to_le_bytes()).collect();
    std::fs::write(folder.join("found.i32"), bytes)?;
    println!("{}", json!({ "seconds": fit_s.as_secs_f64() }));
    Ok(())
}

fn names(clustering: &Clustering) -> Vec<i32> {
    let names = clustering.assignments().iter();
    names.map(|name| name.map_or(-1, |cluster| cluster as i32)).collect()
}

fn read_rows(path: &Path, dimension: usize) -> Result<Array2<f32>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let (values, _) = bytes.as_chunks::<4>();
    let values: Vec<f32> = values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    Ok(Array2::from_shape_vec((values.len() / dimension, dimension), values)?)
}

fn read_labels(path: &Path) -> Result<Vec<usize>, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let (values, _) = bytes.as_chunks::<4>();
    Ok(values.iter().map(|bytes| u32::from_le_bytes(*bytes) as usize).collect())
}
