//! The images of one space in memory, with their vectors.

use std::sync::Arc;

use crate::index::{VectorSet, VectorSetBuilder};
use crate::record::{ImageId, Space, SpaceId};
use crate::store::Store;

use super::{QueryError, Row, Rows};

/// The images of one space, ordered by number, with their vectors.
///
/// Images with the very same vector share a *node* of the index: exact copies
/// of a vector would keep a graph from reaching other points.
pub struct Corpus {
    space: Space,
    rows: Arc<Rows>,
    /// The node of each row.
    nodes: Vec<u32>,
    /// Rows of each node, the lowest first.
    members: Vec<Vec<u32>>,
    vectors: Arc<VectorSet>,
}

impl Corpus {
    /// Loads the vectors of the images of a space.
    ///
    /// Costs one pass over the embeddings, 13 us each; 4 bytes for each dimension of each
    /// distinct vector stay in memory.
    ///
    /// # Errors
    /// [`QueryError::Store`] when a record is damaged; [`QueryError::Index`] when
    /// an embedding is not of the space's dimension.
    pub fn load(
        store: &Store,
        space_id: SpaceId,
        space: &Space,
        rows: Arc<Rows>,
    ) -> Result<Self, QueryError> {
        let mut vectors = VectorSetBuilder::new(space.dimension as usize);
        let mut nodes = Vec::with_capacity(rows.as_slice().len());
        let mut embeddings = store.embeddings(space_id);
        for row in rows.as_slice() {
            let found = embeddings.find(|entry| match entry {
                Ok((id, _)) => *id == row.id,
                Err(_) => true,
            });
            let (_, embedding) = found.ok_or(QueryError::Changed)??;
            nodes.push(vectors.push(embedding.as_slice())?);
        }
        let vectors = Arc::new(vectors.finish());
        let mut members = vec![Vec::new(); vectors.len()];
        for (node, row) in nodes.iter().zip(0..) {
            members[*node as usize].push(row);
        }
        Ok(Self { space: space.clone(), rows, nodes, members, vectors })
    }

    /// What the numbers of the vectors mean.
    pub fn space(&self) -> &Space {
        &self.space
    }

    /// All images, ordered by number.
    pub fn rows(&self) -> &[Row] {
        self.rows.as_slice()
    }

    /// The images without their vectors.
    pub(super) fn known(&self) -> &Rows {
        &self.rows
    }

    /// The distinct vectors, one for each node, in the order of first appearance.
    pub fn vectors(&self) -> &Arc<VectorSet> {
        &self.vectors
    }

    /// The node of an image.
    ///
    /// # Panics
    /// For a row of another corpus.
    pub fn node(&self, row: &Row) -> u32 {
        self.nodes[self.rows.position(row.id).expect("a row of this corpus")]
    }

    /// The vector of an image.
    ///
    /// # Panics
    /// For a row of another corpus.
    pub fn vector(&self, row: &Row) -> &[f32] {
        self.vectors.row(self.node(row))
    }

    /// The images of a node.
    pub fn members(&self, node: u32) -> impl Iterator<Item = &Row> {
        let rows = self.members.get(node as usize).map_or(&[][..], Vec::as_slice);
        rows.iter().filter_map(|row| self.rows().get(*row as usize))
    }

    /// The image with a number.
    pub fn row(&self, id: ImageId) -> Option<&Row> {
        self.rows.row(id)
    }
}
