//! Groups of images that belong together, with a face and a name for each.

use std::collections::HashMap;

use ndarray::{Array2, ArrayView2};
use serde::{Deserialize, Serialize};

use super::{Corpus, Filter, QueryError, Row};
use crate::learn::{self, Clustering, KChoice};
use crate::record::{ClassId, ImageId};

/// Class names that name a cluster.
const CLASSES_NAMED: usize = 3;

/// Mean probability from which on a class names a cluster; below, the network only guesses.
const NAMING_PROBABILITY_MIN: f32 = 0.1;

/// How to group.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Method {
    /// k-means; every image belongs to a cluster.
    KMeans {
        /// Clusters; chosen from the data when absent.
        k: Option<usize>,
    },
    /// DBSCAN; images in thin places belong to no cluster.
    Dbscan {
        /// Radius as Euclidean distance between unit vectors, 0 to 2; chosen
        /// from the data when absent.
        eps: Option<f32>,
        /// Images within the radius, itself included, that make an image a core.
        min_points: Option<usize>,
    },
    /// HDBSCAN: clusters of different density; images in thin places belong to none.
    Hdbscan {
        /// Images that make a cluster; 5 when absent.
        min_cluster_size: Option<usize>,
    },
}

/// The result of a clustering.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clusters {
    /// The method with the values that were used.
    pub method: Method,
    /// The clusters, the largest first.
    pub clusters: Vec<Cluster>,
    /// Images in no cluster, ordered by number.
    pub noise: Vec<ImageId>,
    /// Mean silhouette of the clustered images, -1 to 1; absent for fewer than two clusters.
    pub silhouette: Option<f32>,
    /// Numbers of clusters that were tried, with the silhouette of each; empty where it was given.
    pub curve: Vec<(usize, f32)>,
}

/// One group of images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cluster {
    /// What most of it is: a label that half of the images have, else the class that the network
    /// finds most probable, if that has a mean probability of 0.1; by
    /// [`Database::cluster`](crate::Database::cluster) else the object that is on half of them.
    pub name: Option<String>,
    /// The image closest to all others.
    pub medoid: ImageId,
    /// Mean cosine similarity of the members to the medoid, -1 to 1.
    pub cohesion: f32,
    /// Classes that name the cluster, with their mean probability, the highest first.
    pub classes: Vec<(ClassId, f32)>,
    /// The members, the closest to the medoid first.
    pub members: Vec<ClusterMember>,
}

/// An image of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClusterMember {
    /// The image.
    pub id: ImageId,
    /// Cosine similarity to the medoid.
    pub score: f32,
}

/// Groups the images that pass a filter. The same seed gives the same clusters.
///
/// # Errors
/// [`QueryError::NoImages`] when nothing passes; [`QueryError::Learn`] for
/// parameters that do not fit the data; the errors of the filter.
pub fn cluster(
    corpus: &Corpus,
    filter: &Filter,
    method: Method,
    seed: u64,
    class_names: &[String],
) -> Result<Clusters, QueryError> {
    let filter = filter.resolve_in(corpus.known(), class_names)?;
    let rows: Vec<&Row> = filter.rows(corpus.known()).collect();
    if rows.is_empty() {
        return Err(QueryError::NoImages);
    }
    let matrix = matrix_of(corpus, &rows);
    let (method, curve, clustering) = run(matrix.view(), method, seed)?;
    let mut clusters = Vec::new();
    for members in clustering.members() {
        clusters.push(describe(matrix.view(), &rows, &members, class_names)?);
    }
    let noise = clustering.noise().into_iter().filter_map(|index| rows.get(index));
    Ok(Clusters {
        method,
        noise: noise.map(|row| row.id).collect(),
        silhouette: learn::silhouette(matrix.view(), &clustering).ok(),
        curve,
        clusters,
    })
}

/// The vectors of some images as the rows of a matrix.
pub(super) fn matrix_of(corpus: &Corpus, rows: &[&Row]) -> Array2<f32> {
    let dimension = corpus.vectors().dimension();
    let mut values = Vec::with_capacity(rows.len() * dimension);
    for row in rows {
        values.extend_from_slice(corpus.vector(row));
    }
    Array2::from_shape_vec((rows.len(), dimension), values)
        .expect("every vector of a set has its dimension")
}

type Curve = Vec<(usize, f32)>;

fn run(
    matrix: ArrayView2<'_, f32>,
    method: Method,
    seed: u64,
) -> Result<(Method, Curve, Clustering), QueryError> {
    Ok(match method {
        Method::KMeans { k } => {
            let KChoice { k, curve } = match k {
                Some(k) => KChoice { k, curve: Vec::new() },
                None => learn::choose_k(matrix, seed)?,
            };
            (Method::KMeans { k: Some(k) }, curve, learn::kmeans(matrix, k, seed)?)
        }
        Method::Dbscan { eps, min_points } => {
            let min_points = min_points.unwrap_or(learn::MIN_POINTS_DEFAULT);
            let eps = match eps {
                Some(eps) => eps,
                None => learn::choose_eps(matrix, min_points, seed)?.eps,
            };
            let used = Method::Dbscan { eps: Some(eps), min_points: Some(min_points) };
            (used, Vec::new(), learn::dbscan(matrix, eps, min_points)?)
        }
        Method::Hdbscan { min_cluster_size } => {
            let size = min_cluster_size.unwrap_or(learn::MIN_CLUSTER_SIZE_DEFAULT);
            let used = Method::Hdbscan { min_cluster_size: Some(size) };
            (used, Vec::new(), learn::hdbscan(matrix, size)?)
        }
    })
}

fn describe(
    matrix: ArrayView2<'_, f32>,
    rows: &[&Row],
    members: &[usize],
    class_names: &[String],
) -> Result<Cluster, QueryError> {
    let medoid = learn::medoid(matrix, members)?;
    let centre = matrix.row(medoid);
    let mut scored: Vec<ClusterMember> = members
        .iter()
        .map(|&member| ClusterMember {
            id: rows[member].id,
            score: matrix.row(member).dot(&centre).clamp(-1.0, 1.0),
        })
        .collect();
    scored.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.id.cmp(&b.id)));
    let classes = common_classes(members.iter().map(|&member| rows[member]));
    let sure = classes.first().filter(|(_, mean)| *mean >= NAMING_PROBABILITY_MIN);
    let first_class = sure.and_then(|(class, _)| class_names.get(class.0 as usize));
    let label = common_label(members.iter().map(|&member| rows[member]));
    Ok(Cluster {
        name: label.or_else(|| first_class.cloned()),
        medoid: rows[medoid].id,
        cohesion: learn::spread(matrix, members, medoid)?,
        classes,
        members: scored,
    })
}

/// The label that at least half of some images have, the user's or a learned one.
fn common_label<'a>(rows: impl ExactSizeIterator<Item = &'a Row>) -> Option<String> {
    let count = rows.len();
    let mut labels: HashMap<&str, usize> = HashMap::new();
    for label in rows.filter_map(Row::effective_label) {
        *labels.entry(label).or_default() += 1;
    }
    let (label, images) = labels.into_iter().max_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(a.0)))?;
    (images * 2 >= count).then(|| label.to_owned())
}

/// The classes with the highest mean probability over some images.
fn common_classes<'a>(rows: impl ExactSizeIterator<Item = &'a Row>) -> Vec<(ClassId, f32)> {
    let count = rows.len().max(1) as f32;
    let mut sums: HashMap<ClassId, f32> = HashMap::new();
    for row in rows {
        for score in &row.record.classes {
            *sums.entry(score.class).or_default() += score.probability;
        }
    }
    let mut classes: Vec<_> = sums.into_iter().map(|(class, sum)| (class, sum / count)).collect();
    classes.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    classes.truncate(CLASSES_NAMED);
    classes
}
