//! `lookalike bench`: images a second of reading, resizing and encoding on this machine.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use ignore::WalkBuilder;
use lookalike::imaging::{
    DecodeLimits, decode_at_least, fit, is_image_start, side_needed_px, squash,
};
use lookalike::inference::{
    Calibration, Cnn, CnnDetector, Compute, Detector, Encoder, InferenceError, InstructionSet,
    Precision, StepTime,
};
use lookalike::pixels::Pixels;
use rayon::prelude::*;
use serde::Serialize;

use super::Outcome;
use super::args::BenchArgs;
use super::output::Output;

/// Enough images for a stable mean; more would only fill the memory.
const IMAGES_MAX: usize = 100;

#[derive(Serialize)]
struct Report {
    model: &'static str,
    precision: &'static str,
    instruction_set: &'static str,
    threads: usize,
    batch: usize,
    load_ms: f64,
    /// Median time of a batch, divided by its images.
    encode_ms_per_image: f64,
    encode_images_per_second: f64,
    #[serde(flatten)]
    reading: Option<Reading>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    layer: String,
    kind: &'static str,
    time_us: f64,
    multiply_adds: u64,
}

#[derive(Serialize)]
struct Reading {
    images: usize,
    decode_images_per_second: f64,
    resize_images_per_second: f64,
    whole_images_per_second: f64,
}

/// A detector's time as `--json` prints it.
#[derive(Serialize)]
struct DetectorReport {
    model: &'static str,
    precision: &'static str,
    instruction_set: &'static str,
    threads: usize,
    /// Median of network and post-processing.
    detect_ms_per_image: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<Step>,
}

/// Times a detector: that of a file, or the one in the program.
fn run_detector(
    file: Option<&Path>,
    args: &BenchArgs,
    budget: Duration,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let set = args.instruction_set.unwrap_or_else(InstructionSet::detect);
    let mut compute =
        Compute { instruction_set: set, precision: args.precision, calibration: None };
    let detector = match file {
        None => CnnDetector::embedded_as(&compute)?,
        Some(file) => {
            let bytes = std::fs::read(file).with_context(|| format!("cannot read {file:?}"))?;
            if args.precision == Precision::Int8 {
                let side = CnnDetector::load(&bytes, &Compute::default())?.input_side_px();
                let images = [noise(side, 0)];
                compute.calibration = Some(Calibration::measure_detector(Some(&bytes), &images)?);
            }
            CnnDetector::load(&bytes, &compute)?
        }
    };
    let side = detector.input_side_px();
    let image = noise(side, 0);
    let input = fit(&image, (side, side), side, detector.fitting());
    let rules = detector.rules();
    let time = median(budget, || detector.detect(&input, &rules).map(drop))?;
    let report = DetectorReport {
        model: detector.model().name(),
        precision: args.precision.name(),
        instruction_set: set.name(),
        threads: rayon::current_num_threads(),
        detect_ms_per_image: time.as_secs_f64() * 1e3,
        steps: if args.profile { profile(|| detector.profile(&image))? } else { Vec::new() },
    };
    if output.json {
        output.object(&report)?;
    } else {
        let DetectorReport { model, precision, threads, detect_ms_per_image, .. } = report;
        let time = format!("{detect_ms_per_image:.2} ms an image");
        output.line(format!("{model}, {precision}, threads: {threads}, {time}"))?;
        if !report.steps.is_empty() {
            print_steps(&report.steps, output)?;
        }
    }
    Ok(Outcome::Done)
}

pub(super) fn run(args: &BenchArgs, output: &Output) -> anyhow::Result<Outcome> {
    let budget = Duration::try_from_secs_f64(args.seconds).context("--seconds is out of range")?;
    if let Some(file) = &args.detector {
        return run_detector(file.as_deref(), args, budget, output);
    }
    let side = args.model.input_side_px();
    let files = if args.encode_only { Vec::new() } else { read_files(args)? };
    let inputs = if files.is_empty() {
        (0..args.batch.get() as u32).map(|seed| noise(side, seed)).collect()
    } else {
        squashed(&files, side)?
    };
    let start = Instant::now();
    let encoder = load(args, &inputs)?;
    let load_ms = start.elapsed().as_secs_f64() * 1e3;
    let batch: Vec<Pixels> = inputs.iter().cycle().take(args.batch.get()).cloned().collect();
    let encode = median(budget, || encoder.embed(&batch).map(drop))?;
    let encode_ms_per_image = encode.as_secs_f64() * 1e3 / batch.len() as f64;
    let reading = if files.is_empty() { None } else { Some(read(&files, &encoder, budget)?) };
    let report = Report {
        model: args.model.name(),
        precision: args.precision.name(),
        instruction_set: encoder.instruction_set().name(),
        threads: rayon::current_num_threads(),
        batch: batch.len(),
        load_ms,
        encode_ms_per_image,
        encode_images_per_second: 1e3 / encode_ms_per_image,
        reading,
        steps: if args.profile { profile(|| encoder.profile(&batch[0]))? } else { Vec::new() },
    };
    print(&report, output)?;
    Ok(Outcome::Done)
}

fn load(args: &BenchArgs, inputs: &[Pixels]) -> anyhow::Result<Cnn> {
    let bytes = match &args.weights {
        Some(path) => Some(std::fs::read(path).with_context(|| format!("cannot read {path:?}"))?),
        None => None,
    };
    // The weights inside the binary have their own.
    let calibration = match (&bytes, args.precision) {
        (Some(bytes), Precision::Int8) => {
            let images = &inputs[..inputs.len().min(16)];
            Some(Calibration::measure(args.model, Some(bytes), images)?)
        }
        _ => None,
    };
    let compute = Compute {
        instruction_set: args.instruction_set.unwrap_or_else(InstructionSet::detect),
        precision: args.precision,
        calibration,
    };
    Ok(Cnn::load(args.model, bytes.as_deref(), &compute)?)
}

/// The bytes of the first images of the folder that can be decoded, in the order of their names.
fn read_files(args: &BenchArgs) -> anyhow::Result<Vec<Vec<u8>>> {
    let folder = &args.folder;
    let walk = WalkBuilder::new(folder).sort_by_file_path(Path::cmp).build();
    let files: Vec<Vec<u8>> = walk
        .filter_map(|entry| std::fs::read(entry.ok()?.path()).ok())
        .filter(|bytes| is_image_start(bytes))
        .filter(|bytes| decode_at_least(bytes, &DecodeLimits::default(), 1).is_ok())
        .take(IMAGES_MAX)
        .collect();
    if files.is_empty() {
        bail!("no image in {folder:?}; name a folder with images, or use --encode-only");
    }
    Ok(files)
}

fn squashed(files: &[Vec<u8>], side: u32) -> anyhow::Result<Vec<Pixels>> {
    files
        .par_iter()
        .map(|bytes| {
            let image = decode_at_least(bytes, &DecodeLimits::default(), side_needed_px(side))?;
            Ok(squash(&image.pixels, side))
        })
        .collect()
}

fn read(files: &[Vec<u8>], encoder: &Cnn, budget: Duration) -> anyhow::Result<Reading> {
    let side = encoder.input_side_px();
    let limits = DecodeLimits::default();
    let decode_all = || -> anyhow::Result<()> {
        let read = |bytes| decode_at_least(bytes, &limits, side_needed_px(side)).map(drop);
        files.par_iter().try_for_each(|bytes| Ok(read(bytes)?))
    };
    let decoding = median(budget, decode_all)?;
    // Decoding and resizing together, less decoding: so that no set of full images is held.
    let both = median(budget, || squashed(files, side).map(drop))?;
    let whole = median(budget, || -> anyhow::Result<()> {
        Ok(encoder.embed(&squashed(files, side)?).map(drop)?)
    })?;
    let rate = |time: Duration| files.len() as f64 / time.as_secs_f64().max(1e-9);
    Ok(Reading {
        images: files.len(),
        decode_images_per_second: rate(decoding),
        resize_images_per_second: rate(both.saturating_sub(decoding)),
        whole_images_per_second: rate(whole),
    })
}

/// Runs `work` once to warm up, then at least three times and as long as the budget lasts.
fn median<E>(budget: Duration, work: impl Fn() -> Result<(), E>) -> Result<Duration, E> {
    work()?;
    let start = Instant::now();
    let mut times = Vec::new();
    while times.len() < 3 || start.elapsed() < budget {
        let turn = Instant::now();
        work()?;
        times.push(turn.elapsed());
    }
    times.sort_unstable();
    Ok(times[times.len() / 2])
}

/// Runs whose least time counts, step by step.
const PROFILE_RUNS: usize = 20;

fn profile(run: impl Fn() -> Result<Vec<StepTime>, InferenceError>) -> anyhow::Result<Vec<Step>> {
    let mut best = run()?;
    for _ in 1..PROFILE_RUNS {
        for (best, step) in best.iter_mut().zip(run()?) {
            best.time = best.time.min(step.time);
        }
    }
    let steps = best.into_iter().map(|step| Step {
        layer: step.layer,
        kind: step.kind,
        time_us: step.time.as_secs_f64() * 1e6,
        multiply_adds: step.multiply_adds,
    });
    Ok(steps.collect())
}

/// Prints the steps, then all steps of each kind.
fn print_steps(steps: &[Step], output: &Output) -> anyhow::Result<()> {
    let row = |layer: &str, kind: &str, time_us: f64, multiply_adds: u64| {
        let rate = 2e-3 * multiply_adds as f64 / time_us.max(1e-3);
        format!(
            "{layer:<28}  {kind:<12}  {time_us:>8.0} us  {:>7.1} M multiply-adds  {rate:>6.1} GFLOP/s",
            multiply_adds as f64 / 1e6,
        )
    };
    for step in steps {
        output.line(row(&step.layer, step.kind, step.time_us, step.multiply_adds))?;
    }
    let mut kinds: Vec<&str> = steps.iter().map(|step| step.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    for kind in kinds.into_iter().chain([""]) {
        let alike = || steps.iter().filter(|step| kind.is_empty() || step.kind == kind);
        let time_us = alike().map(|step| step.time_us).sum();
        output.line(row("all", kind, time_us, alike().map(|step| step.multiply_adds).sum()))?;
    }
    Ok(())
}

/// Pixels without meaning: the time of the network does not depend on them.
fn noise(side: u32, seed: u32) -> Pixels {
    let mut state = seed.wrapping_add(1);
    let bytes = (0..side * side * 3)
        .map(|_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 24) as u8
        })
        .collect();
    Pixels::from_rgb(side, side, bytes).expect("three bytes for each pixel")
}

fn print(report: &Report, output: &Output) -> anyhow::Result<()> {
    if output.json {
        return output.object(report);
    }
    let Report { model, precision, instruction_set, threads, batch, .. } = report;
    output.line(format!(
        "{model}, {precision}, {instruction_set}, threads: {threads}, images at a time: {batch}"
    ))?;
    output.line(format!("load     {:>8.1} ms", report.load_ms))?;
    let rate = |name: &str, rate: f64| format!("{name:<8} {rate:>8.1} images/s");
    if let Some(reading) = &report.reading {
        output.line(rate("decode", reading.decode_images_per_second))?;
        output.line(rate("resize", reading.resize_images_per_second))?;
    }
    output.line(format!(
        "{}, {:.2} ms an image",
        rate("encode", report.encode_images_per_second),
        report.encode_ms_per_image
    ))?;
    if let Some(reading) = &report.reading {
        output.line(rate("whole", reading.whole_images_per_second))?;
    }
    if report.steps.is_empty() { Ok(()) } else { print_steps(&report.steps, output) }
}
