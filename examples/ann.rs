//! Builds the vector index over a file of vectors, saves it, opens it again, and times searches.
//!
//! `ann FOLDER DIMENSION EF,EF,.. BUILDER` reads `vectors.f32` and `queries.f32` and prints one
//! object of JSON. `benches/peers/ann.py` runs it beside other libraries.

use std::error::Error;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use lookalike::index::{
    GraphBuilder, GraphFile, GraphIndex, GraphParameters, Members, NodeFilter, VectorIndex,
    VectorSetBuilder, build_graph, load_graph, save_graph,
};
use serde_json::json;

const K: usize = 10;
const OWNER: [u8; 32] = [0; 32];

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, folder, dimension, widths, builder] = arguments.as_slice() else {
        return Err(
            "usage: ann FOLDER DIMENSION EF,EF,.. weave|hnsw_rs[:LINKS:EF_CONSTRUCTION]".into()
        );
    };
    let (folder, dimension) = (Path::new(folder), dimension.parse()?);
    let path = folder.join("ours.graph");
    let mut report = json!({});
    if !widths.starts_with("serve:") {
        report = build(folder, dimension, parameters(builder)?, &path)?;
    }
    let before_bytes = resident_bytes()?;
    let started = Instant::now();
    let mut graph = load_graph(&path, OWNER)?;
    report["load_ms"] = json!(started.elapsed().as_secs_f64() * 1e3);
    let queries = read(&folder.join("queries.f32"), dimension)?;
    let mut rows = Vec::new();
    let members = graph.members.clone();
    let tuned = graph.graph.ef();
    for width in widths.trim_start_matches("serve:").split(',') {
        let width: usize = width.parse()?;
        graph.graph = graph.graph.with_ef(width);
        let index = &graph.graph;
        let find = |query: &Vec<f32>| -> Vec<u64> {
            let found = index.search(query, K, None).unwrap_or_default();
            found.iter().flat_map(|neighbor| members.keys(neighbor.node)).copied().take(K).collect()
        };
        let found: Vec<_> = queries.iter().map(find).collect();
        let [one, two] = [1, 2].map(|threads| per_second(index, &queries, threads));
        let p99 = latency_p99_us(index, &queries);
        rows.push(json!({
            "width": width, "found": found, "qps_1": one, "qps_2": two, "p99_us": p99
        }));
    }
    report["filters"] = filtered(&graph.graph.with_ef(tuned), &queries);
    report["memory_mb"] = json!((resident_bytes()? - before_bytes) as f64 / 1e6);
    report["file_mb"] = json!(path.metadata()?.len() as f64 / 1e6);
    report["rows"] = json!(rows);
    println!("{report}");
    Ok(())
}

/// Reads `BUILDER[:LINKS:EF_CONSTRUCTION]`.
fn parameters(text: &str) -> Result<GraphParameters, Box<dyn Error>> {
    let mut parts = text.split(':');
    let mut parameters = GraphParameters::default();
    if parts.next() == Some("hnsw_rs") {
        parameters.builder = GraphBuilder::HnswRs;
    }
    if let (Some(links), Some(ef)) = (parts.next(), parts.next()) {
        (parameters.links_max, parameters.ef_construction) = (links.parse()?, ef.parse()?);
    }
    Ok(parameters)
}

fn build(
    folder: &Path,
    dimension: usize,
    parameters: GraphParameters,
    path: &Path,
) -> Result<serde_json::Value, Box<dyn Error>> {
    let mut vectors = VectorSetBuilder::new(dimension);
    let mut keys: Vec<Vec<u64>> = Vec::new();
    for (vector, key) in read(&folder.join("vectors.f32"), dimension)?.iter().zip(0..) {
        let node = vectors.push(vector)? as usize;
        keys.resize(keys.len().max(node + 1), Vec::new());
        keys[node].push(key);
    }
    let vectors = Arc::new(vectors.finish());
    let started = Instant::now();
    let graph = build_graph(vectors, parameters, &|_| ControlFlow::Continue(()))?;
    let build_s = started.elapsed().as_secs_f64();
    let notes = format!(
        "ef {} for recall {:.4}, {} unreachable",
        graph.ef(),
        graph.recall().recall(),
        graph.unreachable().len()
    );
    save_graph(&GraphFile::new(graph, Members::new(keys, Vec::new())), OWNER, path)?;
    Ok(json!({"build_s": build_s, "notes": notes}))
}

/// Median of five rounds; each thread asks its part of the queries, one at a time.
fn per_second(index: &GraphIndex, queries: &[Vec<f32>], threads: usize) -> f64 {
    let ask = |part: &[Vec<f32>]| {
        let found = part.iter().map(|query| index.search(query, K, None).map_or(0, |f| f.len()));
        std::hint::black_box(found.sum::<usize>());
    };
    let mut rounds: Vec<f64> = (0..5)
        .map(|_| {
            let started = Instant::now();
            std::thread::scope(|scope| {
                for part in queries.chunks(queries.len().div_ceil(threads)) {
                    scope.spawn(|| ask(part));
                }
            });
            queries.len() as f64 / started.elapsed().as_secs_f64()
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    rounds[2]
}

/// Time of a query when one of so many nodes passes a filter.
fn filtered(index: &GraphIndex, queries: &[Vec<f32>]) -> serde_json::Value {
    let parts = [1, 2, 4, 8, 16, 32, 64, 256, 1024];
    let time = |part: u32| {
        // Scattered, as labels are: multiplying by an odd number mixes the low bits.
        let passes = |node: u32| node.wrapping_mul(0x9e37_79b9) >> 16 & (part - 1) == 0;
        let filter = NodeFilter::from_predicate(index.len(), passes);
        let started = Instant::now();
        for query in queries {
            std::hint::black_box(index.search(query, K, Some(&filter)).map_or(0, |f| f.len()));
        }
        let us = started.elapsed().as_secs_f64() * 1e6 / queries.len() as f64;
        json!({"one_in": part, "us": us})
    };
    parts.map(time).into_iter().collect()
}

/// What 99 of 100 queries stay below, one after the other on one thread.
fn latency_p99_us(index: &GraphIndex, queries: &[Vec<f32>]) -> f64 {
    let mut times: Vec<f64> = queries
        .iter()
        .map(|query| {
            let started = Instant::now();
            std::hint::black_box(index.search(query, K, None).map_or(0, |found| found.len()));
            started.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() * 99 / 100]
}

fn read(path: &Path, dimension: usize) -> Result<Vec<Vec<f32>>, std::io::Error> {
    let bytes = std::fs::read(path)?;
    let (words, _) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = words.iter().map(|&word| f32::from_le_bytes(word)).collect();
    Ok(numbers.chunks_exact(dimension).map(<[f32]>::to_vec).collect())
}

/// Memory of this process on Linux, 0 elsewhere.
fn resident_bytes() -> Result<i64, Box<dyn Error>> {
    let Ok(fields) = std::fs::read_to_string("/proc/self/statm") else { return Ok(0) };
    Ok(fields.split(' ').nth(1).unwrap_or("0").parse::<i64>()? * 4096)
}
