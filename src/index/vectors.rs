//! The rows that every index is made of: distinct unit vectors in one flat array.

use std::collections::HashMap;
use std::sync::OnceLock;

use super::IndexError;

/// Distinct unit vectors, row by row in one allocation. The row number is the node.
///
/// Distinct, because copies of one vector crowd every other link out of a graph: with 500 copies
/// inserted first, `hnsw_rs` 0.3.5 found only 198 of 1000 other points.
#[derive(Debug)]
pub struct VectorSet {
    dimension: usize,
    values: Vec<f32>,
    digest: OnceLock<[u8; 32]>,
}

impl VectorSet {
    /// The number of vectors.
    pub fn len(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Whether there are no vectors.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The number of components of each vector, at least 1.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The vector of `node`.
    ///
    /// # Panics
    ///
    /// If `node` is not below [`VectorSet::len`].
    #[inline]
    pub fn row(&self, node: u32) -> &[f32] {
        let start = node as usize * self.dimension;
        &self.values[start..start + self.dimension]
    }

    /// The rows `start..end`, one after the other.
    pub(super) fn rows(&self, start: usize, end: usize) -> &[f32] {
        &self.values[start * self.dimension..end * self.dimension]
    }

    /// The BLAKE3 digest of dimension and values (little endian).
    ///
    /// It ties derived files to the vectors they were made of. The first call reads all vectors,
    /// about 0.08 s for 50,000 of 1280 components; later ones are free.
    pub fn digest(&self) -> [u8; 32] {
        *self.digest.get_or_init(|| {
            let mut hasher = blake3::Hasher::new();
            hasher.update(&(self.dimension as u64).to_le_bytes());
            self.values.chunks(1 << 14).for_each(|chunk| {
                hasher.update(&little_endian(chunk));
            });
            *hasher.finalize().as_bytes()
        })
    }

    /// Refuses a query that cannot be scored against these vectors.
    pub(super) fn check(&self, query: &[f32]) -> Result<(), IndexError> {
        check_unit(self.dimension, query)
    }
}

/// Collects vectors and gives equal ones the same node.
#[derive(Debug)]
pub struct VectorSetBuilder {
    dimension: usize,
    values: Vec<f32>,
    nodes: HashMap<blake3::Hash, u32>,
}

impl VectorSetBuilder {
    /// Starts an empty set of vectors of `dimension` components.
    ///
    /// # Panics
    ///
    /// If `dimension` is 0.
    pub fn new(dimension: usize) -> Self {
        assert!(dimension > 0, "vectors need at least one component");
        let (values, nodes) = (Vec::new(), HashMap::new());
        Self { dimension, values, nodes }
    }

    /// Adds a unit vector and returns its node: that of its equal, if there was one already.
    ///
    /// # Errors
    ///
    /// [`IndexError::DimensionMismatch`], [`IndexError::NotFinite`] or
    /// [`IndexError::NotNormalized`] for a vector that is not a unit vector of the set's
    /// dimension, and [`IndexError::TooManyVectors`] past 2^31 of them.
    pub fn push(&mut self, vector: &[f32]) -> Result<u32, IndexError> {
        check_unit(self.dimension, vector)?;
        let start = self.values.len();
        let node = start / self.dimension;
        if node >= VECTORS_MAX {
            return Err(IndexError::TooManyVectors { limit: VECTORS_MAX });
        }
        // Adding zero turns -0.0 into 0.0, so that equal vectors have equal bytes.
        self.values.extend(vector.iter().map(|&value| value + 0.0));
        let key = blake3::hash(&little_endian(&self.values[start..]));
        let known = *self.nodes.entry(key).or_insert(node as u32);
        if known != node as u32 {
            self.values.truncate(start);
        }
        Ok(known)
    }

    /// The finished set.
    pub fn finish(self) -> VectorSet {
        let (dimension, values) = (self.dimension, self.values);
        let digest = OnceLock::new();
        VectorSet { dimension, values, digest }
    }
}

/// Half the range of node numbers, so that no sum of two of them overflows.
const VECTORS_MAX: usize = 1 << 31;

/// How far the squared length of a unit vector may be from 1. Rounding to `f32` moves it by 1e-7,
/// an embedding that nobody normalised by much more than this.
const NORM_SQUARED_TOLERANCE: f64 = 1.0e-3;

pub(super) fn check_unit(dimension: usize, vector: &[f32]) -> Result<(), IndexError> {
    if vector.len() != dimension {
        let (expected, found) = (dimension, vector.len());
        return Err(IndexError::DimensionMismatch { expected, found });
    }
    if let Some(component) = vector.iter().position(|value| !value.is_finite()) {
        let value = vector[component];
        return Err(IndexError::NotFinite { component, value });
    }
    let squared: f64 = vector.iter().map(|&value| f64::from(value).powi(2)).sum();
    if (squared - 1.0).abs() > NORM_SQUARED_TOLERANCE {
        let norm = squared.sqrt() as f32;
        return Err(IndexError::NotNormalized { norm });
    }
    Ok(())
}

fn little_endian(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_vectors_share_a_node() {
        let mut builder = VectorSetBuilder::new(2);
        let nodes = [[1.0, 0.0], [0.0, 1.0], [1.0, -0.0], [0.6, 0.8]];
        let nodes = nodes.map(|vector| builder.push(&vector).expect("a unit vector"));
        assert_eq!(nodes, [0, 1, 0, 2]);
        let set = builder.finish();
        assert_eq!(set.len(), 3);
        assert_eq!(set.row(2), [0.6, 0.8]);
    }

    #[test]
    fn vectors_that_are_not_unit_vectors_are_refused() {
        struct Case {
            vector: Vec<f32>,
            expected: IndexError,
        }
        let cases = [
            Case {
                vector: vec![1.0],
                expected: IndexError::DimensionMismatch { expected: 2, found: 1 },
            },
            Case {
                vector: vec![0.0, f32::NEG_INFINITY],
                expected: IndexError::NotFinite { component: 1, value: f32::NEG_INFINITY },
            },
            Case { vector: vec![3.0, 4.0], expected: IndexError::NotNormalized { norm: 5.0 } },
        ];
        for case in cases {
            let mut builder = VectorSetBuilder::new(2);
            assert_eq!(builder.push(&case.vector), Err(case.expected));
            assert!(builder.finish().is_empty());
        }
    }

    #[test]
    fn digest_tells_values_order_and_dimension_apart() {
        let digest = |dimension: usize, rows: &[&[f32]]| {
            let mut builder = VectorSetBuilder::new(dimension);
            for row in rows {
                builder.push(row).expect("a unit vector");
            }
            builder.finish().digest()
        };
        let one = digest(2, &[&[1.0, 0.0], &[0.0, 1.0]]);
        assert_eq!(one, digest(2, &[&[1.0, 0.0], &[0.0, 1.0]]));
        assert_ne!(one, digest(2, &[&[0.0, 1.0], &[1.0, 0.0]]));
        assert_ne!(digest(1, &[]), digest(2, &[]));
    }
}
