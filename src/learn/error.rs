//! The one error of `learn`: what was wanted of a matrix, a label list or a parameter, and
//! what was found.

use thiserror::Error;

/// Result of every fallible function in `learn`.
pub type Result<T> = std::result::Result<T, LearnError>;

/// Why a learner refused its input.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LearnError {
    /// The matrix has no rows or no columns.
    #[error("expected at least one row and one column, found {rows} rows of {columns} columns")]
    EmptyInput {
        /// Rows found.
        rows: usize,
        /// Columns found.
        columns: usize,
    },
    /// A value is NaN, infinite, or so large that distances would overflow.
    #[error("expected values from -{max} to {max}, found another in row {row}, column {column}")]
    ValueOutOfRange {
        /// First offending row.
        row: usize,
        /// Its first offending column.
        column: usize,
        /// Largest magnitude that is taken.
        max: f32,
    },
    /// Two inputs that go row by row differ in length.
    #[error("expected {expected} {what}, one for each row, found {found}")]
    LengthMismatch {
        /// Plural noun of the shorter or longer input.
        what: &'static str,
        /// Number of rows.
        expected: usize,
        /// Length found.
        found: usize,
    },
    /// The number of clusters cannot be made from these rows.
    #[error("expected a number of clusters from {min} to {max}, found {found}")]
    ClusterCount {
        /// Smallest count that makes sense here.
        min: usize,
        /// Number of rows.
        max: usize,
        /// Count asked for.
        found: usize,
    },
    /// The neighborhood radius of DBSCAN is not a positive number.
    #[error("expected eps to be a finite number above 0, found {found}")]
    Radius {
        /// Radius asked for.
        found: f32,
    },
    /// The core size of DBSCAN is out of range.
    #[error("expected min_points from 2 to {max}, found {found}")]
    MinPoints {
        /// Largest value that makes sense for these rows.
        max: usize,
        /// Value asked for.
        found: usize,
    },
    /// The radius joins so many pairs that their lists would not fit in memory.
    #[error("eps {eps} makes more than {pairs_max} pairs of neighbors; choose a smaller eps")]
    TooManyNeighbors {
        /// Radius asked for.
        eps: f32,
        /// Most pairs that are kept.
        pairs_max: usize,
    },
    /// The smallest size of a cluster of HDBSCAN is out of range.
    #[error("expected a smallest cluster of 2 to {max} rows, found {found}")]
    ClusterSize {
        /// Number of rows.
        max: usize,
        /// Size asked for.
        found: usize,
    },
    /// A method compares all rows with all, and these are too many.
    #[error("expected at most {max} rows, found {found}: k-means and DBSCAN take more")]
    TooManyRows {
        /// Most rows that are taken.
        max: usize,
        /// Rows found.
        found: usize,
    },
    /// HDBSCAN gave up.
    #[error("HDBSCAN failed: {reason}")]
    Hdbscan {
        /// What it said.
        reason: String,
    },
    /// A list of members is empty.
    #[error("expected at least one member, found none")]
    NoMembers,
    /// A member names a row that does not exist.
    #[error("expected members below {rows}, found {member}")]
    MemberOutOfRange {
        /// Member found.
        member: usize,
        /// Number of rows.
        rows: usize,
    },
    /// A label is not below the number of classes.
    #[error("expected labels below {classes}, found {label} in row {row}")]
    LabelOutOfRange {
        /// Row of the label.
        row: usize,
        /// Label found.
        label: usize,
        /// Number of classes.
        classes: usize,
    },
    /// There is nothing to tell apart.
    #[error(
        "expected examples of at least 2 classes, found {found}; label images of another class"
    )]
    TooFewClasses {
        /// Classes that have examples.
        found: usize,
    },
    /// There are more classes than a forest can store.
    #[error("expected at most {max} classes, found {found}")]
    TooManyClasses {
        /// Most classes that are supported.
        max: usize,
        /// Number of classes asked for.
        found: usize,
    },
    /// A class is in too few groups to be in every fold.
    #[error(
        "expected class {class} in at least {expected} groups, one for each fold, found {found}; \
         label more images of it or use fewer folds"
    )]
    TooFewExamples {
        /// The class.
        class: usize,
        /// Number of folds.
        expected: usize,
        /// Groups that hold an example of the class.
        found: usize,
    },
    /// The number of folds is out of range.
    #[error("expected a number of folds from 2 to {max}, found {found}")]
    FoldCount {
        /// Number of rows.
        max: usize,
        /// Number asked for.
        found: usize,
    },
    /// A forest parameter is out of range.
    #[error("expected {name} from 1 to {max}, found {found}")]
    ForestParameter {
        /// Name of the parameter.
        name: &'static str,
        /// Largest allowed value.
        max: usize,
        /// Value found.
        found: usize,
    },
    /// Rows to predict have another width than the rows trained on.
    #[error("expected rows of {expected} columns, found {found}")]
    DimensionMismatch {
        /// Width of the training rows.
        expected: usize,
        /// Width found.
        found: usize,
    },
    /// A stored forest has no trees, or impossible sizes.
    #[error(
        "stored forest is damaged: {trees} trees over {dimension} columns and {classes} classes"
    )]
    MalformedForest {
        /// Number of trees found.
        trees: usize,
        /// Number of columns found.
        dimension: usize,
        /// Number of classes found.
        classes: usize,
    },
    /// A stored tree has a node that leads nowhere or names what does not exist.
    #[error("stored forest is damaged: node {node} of tree {tree} is not valid")]
    MalformedTree {
        /// Index of the tree.
        tree: usize,
        /// Index of its first bad node.
        node: usize,
    },
    /// A stored classifier has impossible sizes or numbers.
    #[error("stored classifier is damaged: {dimension} columns and {classes} classes")]
    MalformedClassifier {
        /// Number of columns found.
        dimension: usize,
        /// Number of classes found.
        classes: usize,
    },
    /// linfa refused what passed our own checks.
    #[error("the library for learning refused the input")]
    Backend {
        /// What it said.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl LearnError {
    /// Wraps an error of linfa, whose types stay inside this module.
    pub(super) fn backend(source: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Backend { source: Box::new(source) }
    }
}
