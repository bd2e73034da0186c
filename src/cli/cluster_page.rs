//! `lookalike cluster --html`: one page with a picture of everything, which needs nothing beside it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lookalike::imaging::{self, DecodeLimits};
use lookalike::record::ImageId;
use lookalike::{Cluster, Clusters, Database};
use rayon::prelude::*;

use super::cluster::described;
use super::output::{Output, counted};
use super::{progress, session};

const STYLE: &str = include_str!("cluster_page.css");
/// Twice the size on the page, for fine screens.
const THUMBNAIL_PX: u32 = 264;
/// Pictures of a cluster: its most typical members, its oddest ones, and those in none.
const TYPICAL: usize = 12;
const ODD: usize = 4;
const NOISE: usize = 48;

/// An image as the page shows it.
struct Picture {
    path: PathBuf,
    /// None where no file of it can be read.
    jpeg: Option<Vec<u8>>,
    score: Option<f32>,
}

/// Writes the page to a file that is not there yet.
///
/// # Errors
/// When the database fails or the file cannot be written. An image that cannot be read is shown as
/// its name.
pub(super) fn write(
    database: &Database,
    clusters: &Clusters,
    seed: u64,
    target: &Path,
    output: &Output,
) -> anyhow::Result<()> {
    let page = page(database, clusters, seed, output)?;
    session::write_new(target, page.as_bytes())?;
    output.note(format_args!("wrote {}", target.display()));
    Ok(())
}

fn page(
    database: &Database,
    clusters: &Clusters,
    seed: u64,
    output: &Output,
) -> anyhow::Result<String> {
    let images: usize = clusters.clusters.iter().map(|cluster| cluster.members.len()).sum();
    let all = counted((images + clusters.noise.len()) as u64, "image");
    let count = counted(clusters.clusters.len() as u64, "cluster");
    let silhouette = clusters.silhouette.map(|value| format!(", silhouette {value:.3}"));
    let how = described(clusters.method);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{count}</title>\n<style>\n{STYLE}</style></head><body>\n\
         <h1>{all} in {count}</h1>\n<p>{}{}, seed {seed}</p>\n",
        escaped(&how),
        silhouette.unwrap_or_default()
    );
    html += &curve(&clusters.curve);
    let bar = progress::bar("clusters", output.quiet);
    bar.set_length(clusters.clusters.len() as u64);
    for (cluster, number) in clusters.clusters.iter().zip(1..) {
        html += &section(database, cluster, number)?;
        bar.inc(1);
    }
    if !clusters.noise.is_empty() {
        let count = counted(clusters.noise.len() as u64, "image");
        let shown = clusters.noise.iter().take(NOISE).map(|&id| (id, None));
        let row = row(&pictures(database, shown.collect())?, false);
        let _ = write!(
            html,
            "<section><h2>In no cluster<small>{count}</small></h2>\n{row}</section>\n"
        );
    }
    bar.finish_and_clear();
    html += "</body></html>\n";
    Ok(html)
}

fn section(database: &Database, cluster: &Cluster, number: usize) -> anyhow::Result<String> {
    let name = cluster.name.clone().unwrap_or_else(|| "unnamed".to_owned());
    let size = counted(cluster.members.len() as u64, "image");
    let mut html = format!(
        "<section><h2>{number}. {}<small>{size}, cohesion {:.3}</small></h2>\n",
        escaped(&name),
        cluster.cohesion
    );
    let names = database.encoder().class_names();
    let classes = cluster.classes.iter().filter_map(|(class, probability)| {
        Some(format!("{} {:.0} %", names.get(class.0 as usize)?, probability * 100.0))
    });
    let classes: Vec<String> = classes.collect();
    let _ = writeln!(html, "<p>{}</p>", escaped(&classes.join(", ")));
    let picture = |member: &lookalike::ClusterMember| (member.id, Some(member.score));
    let typical = cluster.members.iter().take(TYPICAL).map(picture).collect();
    html += &row(&pictures(database, typical)?, true);
    let rest = cluster.members.get(TYPICAL..).unwrap_or_default();
    let odd: Vec<_> = rest.iter().rev().take(ODD).map(picture).collect();
    if !odd.is_empty() {
        html += "<h3>oddest</h3>\n";
        html += &row(&pictures(database, odd)?, false);
    }
    html += "</section>\n";
    Ok(html)
}

/// Reads some images and makes them small, in parallel.
fn pictures(
    database: &Database,
    wanted: Vec<(ImageId, Option<f32>)>,
) -> anyhow::Result<Vec<Picture>> {
    let mut found = Vec::new();
    for (id, score) in wanted {
        let locations = database.image(id)?.map(|row| row.locations).unwrap_or_default();
        let paths: Vec<PathBuf> =
            locations.iter().map(|location| location.to_path(database.home())).collect();
        found.push((paths, score));
    }
    let thumbnail =
        |bytes: &[u8]| imaging::thumbnail(bytes, THUMBNAIL_PX, &DecodeLimits::default());
    let read = |(paths, score): (Vec<PathBuf>, Option<f32>)| {
        let bytes = paths.iter().find_map(|path| std::fs::read(path).ok());
        let jpeg = bytes.and_then(|bytes| thumbnail(&bytes).ok());
        Picture { path: paths.into_iter().next().unwrap_or_default(), jpeg, score }
    };
    Ok(found.into_par_iter().map(read).collect())
}

fn row(pictures: &[Picture], has_face: bool) -> String {
    let mut html = "<div class=\"row\">\n".to_owned();
    for (at, picture) in pictures.iter().enumerate() {
        let path = picture.path.display().to_string();
        let name = picture.path.file_name().unwrap_or_default().to_string_lossy();
        let class = if has_face && at == 0 { " class=\"face\"" } else { "" };
        let image = match &picture.jpeg {
            Some(jpeg) => format!(
                "<img loading=\"lazy\" alt=\"{}\" src=\"data:image/jpeg;base64,{}\">",
                escaped(&name),
                STANDARD.encode(jpeg)
            ),
            None => "not readable now".to_owned(),
        };
        let score = picture.score.map(|score| format!("{score:.3} ")).unwrap_or_default();
        let _ = writeln!(
            html,
            "<figure{class} title=\"{}\"><div>{image}</div><figcaption>{score}{}</figcaption></figure>",
            escaped(&path),
            escaped(&name)
        );
    }
    html + "</div>\n"
}

/// The silhouettes by number of clusters as a line; nothing where there is no choice.
fn curve(points: &[(usize, f32)]) -> String {
    let (Some(first), Some(last)) = (points.first(), points.last()) else { return String::new() };
    let values = points.iter().map(|point| point.1);
    let (low, high) =
        values.fold((0.0_f32, 0.01_f32), |(low, high), value| (low.min(value), high.max(value)));
    let (width, height) = (420.0, 110.0);
    let span = ((last.0 as f32).ln() - (first.0 as f32).ln()).max(f32::MIN_POSITIVE);
    let place = |&(k, value): &(usize, f32)| {
        let x = 36.0 + (width - 60.0) * ((k as f32).ln() - (first.0 as f32).ln()) / span;
        let y = 8.0 + (height - 34.0) * (high - value) / (high - low);
        (x, y)
    };
    let line: Vec<String> =
        points.iter().map(place).map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
    let mut dots = String::new();
    for point in points {
        let (x, y) = place(point);
        let _ = write!(
            dots,
            "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3\" fill=\"var(--mark)\"><title>{} clusters: \
             {:.3}</title></circle>",
            point.0, point.1
        );
    }
    format!(
        "<svg width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"silhouette\">\
         <polyline points=\"{}\" fill=\"none\" stroke=\"var(--mark)\"/>{dots}\
         <text x=\"0\" y=\"14\">{high:.2}</text><text x=\"0\" y=\"{}\">{low:.2}</text>\
         <text x=\"34\" y=\"{}\">{}</text><text x=\"{}\" y=\"{}\" text-anchor=\"end\">{} clusters\
         </text></svg>\n<p>mean silhouette by number of clusters</p>\n",
        line.join(" "),
        height - 24.0,
        height - 6.0,
        first.0,
        width - 4.0,
        height - 6.0,
        last.0
    )
}

/// Text as HTML: file names and labels come from anywhere.
pub(super) fn escaped(text: &str) -> String {
    let mut html = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => html += "&amp;",
            '<' => html += "&lt;",
            '>' => html += "&gt;",
            '"' => html += "&quot;",
            letter if letter.is_control() => html.push('\u{fffd}'),
            letter => html.push(letter),
        }
    }
    html
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_from_anywhere_cannot_become_markup() {
        let text = "<img src=x onerror=\"a\">&\n.jpg";
        assert_eq!(escaped(text), "&lt;img src=x onerror=&quot;a&quot;&gt;&amp;\u{fffd}.jpg");
    }

    #[test]
    fn curve_of_any_few_points_is_drawn_inside_its_frame() {
        assert_eq!(curve(&[]), "");
        for points in [&[(2, 0.4)][..], &[(2, -0.2), (3, 0.0), (90, 0.7)], &[(5, 0.0), (6, 0.0)]] {
            let svg = curve(points);
            assert_eq!(svg.matches("<circle").count(), points.len());
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
