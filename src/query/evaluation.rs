//! How well the embeddings tell classes apart, and whether two spaces agree.

use std::sync::Arc;

use super::clusters::matrix_of;
use super::{Corpus, Filter, QueryError, Row, Rows};
use crate::learn::{self, Agreement, Retrieval};
use crate::record::SpaceId;
use crate::store::Store;

/// Neighbors of each image that two spaces should have in common.
const NEIGHBORS_COMPARED: usize = 10;

/// Lets each image that passes a filter and has a class ask for the others, as [`learn::retrieval`]
/// says: over all, and over those of each class.
///
/// # Errors
/// [`QueryError::NoImages`] when none has a class; the errors of the filter.
pub fn evaluate_retrieval(
    corpus: &Corpus,
    filter: &Filter,
    class_names: &[String],
    class_of: &dyn Fn(&Row) -> Option<usize>,
) -> Result<(Retrieval, Vec<Retrieval>), QueryError> {
    let filter = filter.resolve_in(corpus.known(), class_names)?;
    let passing = filter.rows(corpus.known());
    let (rows, classes): (Vec<&Row>, Vec<usize>) =
        passing.filter_map(|row| Some((row, class_of(row)?))).unzip();
    let Some(most) = classes.iter().max() else { return Err(QueryError::NoImages) };
    Ok(learn::retrieval(matrix_of(corpus, &rows).view(), &classes, most + 1)?)
}

/// Says whether images that are alike in one space are alike in another: of the images that have an
/// embedding in both.
///
/// # Errors
/// [`QueryError::UnknownSpace`]; [`QueryError::NoImages`] where none is in both;
/// [`QueryError::Store`].
pub fn compare_spaces(
    store: &Store,
    left: SpaceId,
    right: SpaceId,
    seed: u64,
) -> Result<Agreement, QueryError> {
    let spaces = store.spaces()?;
    let load = |wanted: SpaceId| {
        let known = spaces.iter().find(|(id, _)| *id == wanted);
        let (id, space) = known.ok_or(QueryError::UnknownSpace { number: wanted.0.into() })?;
        Corpus::load(store, *id, space, Arc::new(Rows::load(store, *id)?))
    };
    let (left, right) = (load(left)?, load(right)?);
    let pairs: Vec<(&Row, &Row)> =
        left.rows().iter().filter_map(|row| Some((row, right.row(row.id)?))).collect();
    if pairs.is_empty() {
        return Err(QueryError::NoImages);
    }
    let (of_left, of_right): (Vec<&Row>, Vec<&Row>) = pairs.into_iter().unzip();
    let [a, b] = [matrix_of(&left, &of_left), matrix_of(&right, &of_right)];
    Ok(learn::agreement(a.view(), b.view(), NEIGHBORS_COMPARED, seed)?)
}
