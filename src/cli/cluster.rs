//! `lookalike cluster`: images that belong together.

use std::collections::HashMap;

use lookalike::record::ImageId;
use lookalike::{Cluster, Clusters, Database, Method};
use serde::Serialize;

use super::args::{ClusterArgs, ClusterMethod, GlobalArgs};
use super::output::{ClassLine, Output, counted, path_text, shown};
use super::{Outcome, cluster_page, session};

/// A cluster as `--json` prints it.
#[derive(Serialize)]
struct ClusterLine {
    cluster: usize,
    name: Option<String>,
    size: usize,
    cohesion: f32,
    medoid: String,
    classes: Vec<ClassLine>,
    members: Vec<MemberLine>,
}

#[derive(Serialize)]
struct MemberLine {
    path: String,
    score: f32,
}

/// The images in no cluster as `--json` prints them.
#[derive(Serialize)]
struct NoiseLine {
    cluster: Option<usize>,
    size: usize,
    members: Vec<String>,
}

pub(super) fn run(
    global: &GlobalArgs,
    args: &ClusterArgs,
    output: &Output,
) -> anyhow::Result<Outcome> {
    let database = session::open_here(global)?;
    let filter = session::filter(&database, &args.filter)?;
    let method = match args.method {
        ClusterMethod::Kmeans => Method::KMeans { k: args.k },
        ClusterMethod::Hdbscan => Method::Hdbscan { min_cluster_size: args.min_cluster_size },
        ClusterMethod::Dbscan => Method::Dbscan { eps: args.eps, min_points: args.min_points },
    };
    if let Some(target) = args.html.as_ref().filter(|target| target.exists()) {
        anyhow::bail!("{} is there already: name another file", target.display());
    }
    let clusters = database.cluster(&filter, method, args.seed)?;
    let paths = Paths::load(&database, &filter)?;
    if let Some(target) = &args.html {
        cluster_page::write(&database, &clusters, args.seed, target, output)?;
    }
    headline(&clusters, output);
    for (cluster, number) in clusters.clusters.iter().zip(1..) {
        if output.json {
            output.object(&line(&database, &paths, cluster, number))?;
        } else {
            print(&database, &paths, cluster, number, args.show, output)?;
        }
    }
    if !clusters.noise.is_empty() {
        print_noise(&paths, &clusters.noise, args.show, output)?;
    }
    Ok(if clusters.clusters.is_empty() { Outcome::Nothing } else { Outcome::Done })
}

/// First path of each image.
struct Paths(HashMap<ImageId, std::path::PathBuf>);

impl Paths {
    fn load(database: &Database, filter: &lookalike::Filter) -> anyhow::Result<Self> {
        let rows = database.images(filter)?.into_iter();
        let paths =
            rows.filter_map(|row| Some((row.id, row.locations.first()?.to_path(database.home()))));
        Ok(Self(paths.collect()))
    }

    fn of(&self, id: ImageId) -> std::path::PathBuf {
        self.0.get(&id).cloned().unwrap_or_default()
    }

    fn text(&self, id: ImageId) -> String {
        path_text(&self.of(id))
    }
}

/// Names the method with the values that were used.
pub(super) fn described(method: Method) -> String {
    match method {
        Method::KMeans { k } => format!("k-means, k {}", k.unwrap_or_default()),
        Method::Hdbscan { min_cluster_size } => {
            format!("HDBSCAN, min-cluster-size {}", min_cluster_size.unwrap_or_default())
        }
        Method::Dbscan { eps, min_points } => format!(
            "DBSCAN, eps {:.3}, min-points {}",
            eps.unwrap_or_default(),
            min_points.unwrap_or_default()
        ),
    }
}

fn headline(clusters: &Clusters, output: &Output) {
    if !clusters.curve.is_empty() {
        let points = clusters.curve.iter().map(|(k, value)| format!("{k}: {value:.3}"));
        let points: Vec<String> = points.collect();
        output.note(format_args!("silhouette by number of clusters: {}", points.join(", ")));
    }
    let how = described(clusters.method);
    let silhouette = match clusters.silhouette {
        Some(value) => format!(", silhouette {value:.3}"),
        None => String::new(),
    };
    let count = counted(clusters.clusters.len() as u64, "cluster");
    let noise = counted(clusters.noise.len() as u64, "image");
    output.note(format_args!("{count} ({how}{silhouette}), {noise} in none"));
}

fn line(database: &Database, paths: &Paths, cluster: &Cluster, number: usize) -> ClusterLine {
    ClusterLine {
        cluster: number,
        name: cluster.name.clone(),
        size: cluster.members.len(),
        cohesion: cluster.cohesion,
        medoid: paths.text(cluster.medoid),
        classes: class_lines(database, cluster),
        members: cluster
            .members
            .iter()
            .map(|member| MemberLine { path: paths.text(member.id), score: member.score })
            .collect(),
    }
}

fn print(
    database: &Database,
    paths: &Paths,
    cluster: &Cluster,
    number: usize,
    show: usize,
    output: &Output,
) -> anyhow::Result<()> {
    let classes = class_lines(database, cluster);
    let names: Vec<&str> = classes.iter().map(|line| line.class.as_str()).collect();
    let size = counted(cluster.members.len() as u64, "image");
    let name = cluster.name.as_deref().unwrap_or("unnamed");
    output.line(format!(
        "cluster {number}, {name}: {size}, cohesion {:.3}: {}",
        cluster.cohesion,
        names.join(", ")
    ))?;
    // The medoid is the first of the members: it is closest to itself.
    for member in cluster.members.iter().take(show) {
        output.line(format!("  {:.4}  {}", member.score, shown(&paths.of(member.id))))?;
    }
    if let Some(oddest) = cluster.members.get(show..).and_then(<[_]>::last) {
        output.line(format!("  {:.4}  {} (oddest)", oddest.score, shown(&paths.of(oddest.id))))?;
    }
    Ok(())
}

fn class_lines(database: &Database, cluster: &Cluster) -> Vec<ClassLine> {
    ClassLine::all(database.encoder().class_names(), cluster.classes.iter().copied())
}

fn print_noise(
    paths: &Paths,
    noise: &[ImageId],
    show: usize,
    output: &Output,
) -> anyhow::Result<()> {
    if output.json {
        let members = noise.iter().map(|id| paths.text(*id)).collect();
        return output.object(&NoiseLine { cluster: None, size: noise.len(), members });
    }
    output.line(format!("in no cluster: {}", counted(noise.len() as u64, "image")))?;
    for id in noise.iter().take(show) {
        output.line(format!("          {}", shown(&paths.of(*id))))?;
    }
    Ok(())
}
