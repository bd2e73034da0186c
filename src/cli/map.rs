//! `lookalike map`: the collection in the plane.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::bail;
use lookalike::imaging::{self, Collage, DecodeLimits};
use lookalike::query::MapPoint;
use lookalike::record::ImageId;
use lookalike::{Database, ImageRow};
use rayon::prelude::*;
use serde::Serialize;

use super::args::{GlobalArgs, MapArgs};
use super::cluster_page::escaped;
use super::output::{Output, counted, path_text, shown};
use super::{Outcome, progress, session};

/// A place on the map as `--json` prints it.
#[derive(Serialize)]
struct PointLine {
    id: ImageId,
    path: String,
    x: f32,
    y: f32,
}

/// Colors of labels in turn, which are told apart in print and by the color-blind (Okabe and Ito).
const COLORS: [&str; 8] =
    ["#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#b8a800", "#444444"];
/// Color of images without a label.
const UNLABELLED: &str = "#999999";

pub(super) fn run(global: &GlobalArgs, args: &MapArgs, output: &Output) -> anyhow::Result<Outcome> {
    let format = match args.out.as_ref().map(|path| path.extension().and_then(|ext| ext.to_str())) {
        None => None,
        Some(Some("png")) => Some(Format::Png),
        Some(Some("svg")) => Some(Format::Svg),
        Some(_) => bail!("--out writes .png or .svg: give the file one of these names"),
    };
    let database = session::open_here(global)?;
    let (layout, points) = database.map(args.method.map(Into::into))?;
    if points.is_empty() {
        output.note("the database holds no images");
        return Ok(Outcome::Nothing);
    }
    let rows = rows(&database, &points)?;
    if let (Some(target), Some(format)) = (&args.out, format) {
        let bytes = match format {
            Format::Png => png(&database, &rows, args.size, output),
            Format::Svg => svg(&database, &rows).into_bytes(),
        };
        session::write_new(target, &bytes)?;
        output.note(format_args!("wrote {}", target.display()));
    }
    if output.json || args.out.is_none() {
        for (point, row) in &rows {
            let path = first_path(&database, row);
            if output.json {
                let MapPoint { id, x, y } = *point;
                output.object(&PointLine { id, path: path_text(&path), x, y })?;
            } else {
                output.line(format!("{:.4}  {:.4}  {}", point.x, point.y, shown(&path)))?;
            }
        }
    }
    let images = counted(points.len() as u64, "image");
    output.note(format_args!("{images} laid out by {layout:?}"));
    Ok(Outcome::Done)
}

#[derive(Clone, Copy)]
enum Format {
    Png,
    Svg,
}

fn rows(database: &Database, points: &[MapPoint]) -> anyhow::Result<Vec<(MapPoint, ImageRow)>> {
    let mut rows = Vec::with_capacity(points.len());
    for point in points {
        if let Some(row) = database.image(point.id)? {
            rows.push((*point, row));
        }
    }
    Ok(rows)
}

fn first_path(database: &Database, row: &ImageRow) -> std::path::PathBuf {
    row.locations.first().map(|location| location.to_path(database.home())).unwrap_or_default()
}

/// The images themselves, small, each at its place.
fn png(
    database: &Database,
    rows: &[(MapPoint, ImageRow)],
    side_px: u32,
    output: &Output,
) -> Vec<u8> {
    // About a third of the square is covered when they lie evenly.
    let small_px =
        (f64::from(side_px) * 0.6 / (rows.len() as f64).sqrt()).clamp(12.0, 160.0) as u32;
    let bar = progress::bar("images", output.quiet);
    bar.set_length(rows.len() as u64);
    let small = |(point, row): &(MapPoint, ImageRow)| {
        bar.inc(1);
        let limits = DecodeLimits::default();
        let jpeg = imaging::thumbnail(&database.thumbnail(row.id).ok()?, small_px, &limits).ok()?;
        Some((*point, imaging::decode(&jpeg, &limits).ok()?.pixels))
    };
    let mut collage = Collage::new(side_px);
    // Whole images at the border too.
    let margin = small_px as f32 / side_px as f32 / 2.0;
    let inside = |at: f32| margin + at * (1.0 - 2.0 * margin);
    for (point, pixels) in rows.par_iter().map(small).collect::<Vec<_>>().into_iter().flatten() {
        collage.lay(pixels, inside(point.x), inside(point.y));
    }
    bar.finish_and_clear();
    imaging::encode_png(&collage.into_pixels())
}

/// A dot for each image in the color of its label.
fn svg(database: &Database, rows: &[(MapPoint, ImageRow)]) -> String {
    let labels: BTreeMap<&str, usize> = {
        let names: std::collections::BTreeSet<&str> =
            rows.iter().filter_map(|(_, row)| row.effective_label()).collect();
        names.into_iter().zip(0..).collect()
    };
    let color = |label: Option<&str>| {
        let number = label.and_then(|label| labels.get(label));
        number.map_or(UNLABELLED, |number| COLORS[number % COLORS.len()])
    };
    let mut svg = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-20 -20 1240 1040\" \
         font-family=\"sans-serif\" font-size=\"16\">\n<rect x=\"-20\" y=\"-20\" width=\"1240\" \
         height=\"1040\" fill=\"#fff\"/>\n",
    );
    let radius = (300.0 / (rows.len() as f64).sqrt()).clamp(2.0, 9.0);
    for (point, row) in rows {
        let title = escaped(&path_text(&first_path(database, row)));
        let fill = color(row.effective_label());
        let _ = writeln!(
            svg,
            "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"{radius:.1}\" fill=\"{fill}\" \
             fill-opacity=\".75\"><title>{title}</title></circle>",
            point.x * 1000.0,
            point.y * 1000.0
        );
    }
    for (label, number) in labels.iter().take(40) {
        let y = 20 + number * 24;
        let _ = writeln!(
            svg,
            "<circle cx=\"1040\" cy=\"{y}\" r=\"7\" fill=\"{}\"/><text x=\"1056\" y=\"{}\">{}</text>",
            color(Some(label)),
            y + 6,
            escaped(label)
        );
    }
    svg + "</svg>\n"
}
