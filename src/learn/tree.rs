//! One tree of a forest: grown on binned features, stored as one flat list of nodes.

use ndarray::ArrayView1;
use serde::{Deserialize, Serialize};

use super::error::{LearnError, Result};
use super::growth::{Examples, Growth};
use super::matrix::Random;

/// Nodes in depth-first order: the left child of a split is the next node, the right child
/// comes later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Tree {
    nodes: Vec<Node>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) enum Node {
    Leaf {
        class: u32,
    },
    /// Rows with `feature <= threshold` go to the next node, others to node `right`.
    Split {
        feature: u32,
        threshold: f32,
        right: u32,
    },
}

impl Tree {
    /// Grows a tree on all rows, of which row `i` counts `weights[i]` times.
    pub(super) fn grow(examples: &Examples<'_>, weights: &[u32], random: &mut Random) -> Self {
        Self { nodes: Growth::new(examples, weights, random).grow() }
    }

    /// Returns the class of the leaf that a row falls into; `None` only for a tree that is
    /// not valid.
    pub(super) fn class_of(&self, row: ArrayView1<'_, f32>) -> Option<usize> {
        let mut at = 0;
        loop {
            at = match *self.nodes.get(at)? {
                Node::Leaf { class } => return Some(class as usize),
                Node::Split { feature, threshold, .. }
                    if *row.get(feature as usize)? <= threshold =>
                {
                    at + 1
                }
                Node::Split { right, .. } if right as usize > at => right as usize,
                Node::Split { .. } => return None,
            };
        }
    }

    /// Checks that every node leads to later nodes that exist, and names a column and a
    /// class that exist.
    pub(super) fn validate(&self, tree: usize, dimension: usize, classes: usize) -> Result<()> {
        let nodes = self.nodes.len();
        let is_valid = |at: usize, node: &Node| match *node {
            Node::Leaf { class } => (class as usize) < classes,
            Node::Split { feature, threshold, right } => {
                let right = right as usize;
                (feature as usize) < dimension
                    && threshold.is_finite()
                    && at + 1 < right
                    && right < nodes
            }
        };
        match self.nodes.iter().enumerate().find(|&(at, node)| !is_valid(at, node)) {
            None if nodes > 0 => Ok(()),
            None => Err(LearnError::MalformedTree { tree, node: 0 }),
            Some((node, _)) => Err(LearnError::MalformedTree { tree, node }),
        }
    }
}

/// Index of the largest count, the lowest one among equals.
pub(super) fn most_frequent<N: Copy + Ord>(counts: &[N]) -> usize {
    let best =
        counts.iter().enumerate().max_by_key(|&(class, &count)| (count, std::cmp::Reverse(class)));
    best.map_or(0, |(class, _)| class)
}

#[cfg(test)]
mod tests {
    use linfa::DatasetBase;
    use linfa::traits::Fit;
    use linfa_trees::{DecisionTree, TreeNode};
    use ndarray::{Array1, Array2};

    use super::super::bins::Bins;
    use super::super::matrix::stream;
    use super::super::planted::{planted, random_rows};
    use super::*;

    /// linfa takes values closer than 1e-5 for equal. A power of two changes no digit.
    const SCALE: f64 = (1_u64 << 20) as f64;

    fn grow(
        rows: &Array2<f32>,
        labels: &[usize],
        features_per_split: usize,
        depth_max: usize,
    ) -> Tree {
        let classes = labels.iter().max().map_or(0, |label| label + 1);
        let labels: Vec<u32> = labels.iter().map(|&label| label as u32).collect();
        let examples = Examples {
            bins: &Bins::new(rows.view(), 0),
            labels: &labels,
            classes,
            features_per_split,
            depth_max,
        };
        let tree = Tree::grow(&examples, &vec![1; labels.len()], &mut stream(1, 1));
        tree.validate(0, rows.ncols(), classes).expect("a grown tree is valid");
        tree
    }

    fn classes_of(tree: &Tree, rows: &Array2<f32>) -> Vec<usize> {
        rows.outer_iter().filter_map(|row| tree.class_of(row)).collect()
    }

    /// The splits and leaves of linfa's own tree, in the order of ours.
    fn flatten(node: &TreeNode<f64, bool>, into: &mut Vec<Result<usize, bool>>) {
        match node.prediction() {
            Some(class) => into.push(Err(class)),
            None => {
                into.push(Ok(node.split().0));
                node.children().into_iter().flatten().for_each(|child| flatten(child, into));
            }
        }
    }

    type Result<T, E> = std::result::Result<T, E>;

    #[test]
    fn tree_of_two_classes_splits_like_linfas_own() {
        let mut same = 0;
        for seed in 0..20 {
            let rows = random_rows(60, 5, seed);
            let labels: Vec<usize> =
                (0..60).map(|row| usize::from(rows[(row, 0)] + rows[(row, 3)] > 0.1)).collect();
            let ours = grow(&rows, &labels, 5, 60);
            let values = rows.mapv(|value| f64::from(value) * SCALE);
            let sides: Array1<bool> = labels.iter().map(|&label| label == 1).collect();
            let theirs = DecisionTree::params().fit(&DatasetBase::new(values, sides)).unwrap();
            let mut expected = Vec::new();
            flatten(theirs.root_node(), &mut expected);
            let found: Vec<Result<usize, bool>> = ours
                .nodes
                .iter()
                .map(|node| match *node {
                    Node::Leaf { class } => Err(class == 1),
                    Node::Split { feature, .. } => Ok(feature as usize),
                })
                .collect();
            same += usize::from(found == expected);
        }
        // Now and then two splits are equally good, and linfa's rounding prefers the later column.
        assert!(same >= 18, "{same} of 20 trees");
    }

    #[test]
    fn single_split_predicts_like_linfas_own_tree() {
        use linfa::traits::Predict;
        for seed in 0..20 {
            // 51 rows that only column 2 tells apart, so that neither tree has ties to
            // break its own way.
            let rows = random_rows(51, 4, seed);
            let labels: Vec<usize> =
                (0..51).map(|row| usize::from(rows[(row, 2)] > 0.05)).collect();
            let ours = grow(&rows, &labels, 4, 1);
            let sides: Array1<bool> = labels.iter().map(|&label| label == 1).collect();
            let values = rows.mapv(|value| f64::from(value) * SCALE);
            let theirs = DecisionTree::params()
                .max_depth(Some(1))
                .fit(&DatasetBase::new(values, sides))
                .unwrap();
            let fresh = random_rows(300, 4, seed + 100);
            let expected: Array1<bool> =
                theirs.predict(&fresh.mapv(|value| f64::from(value) * SCALE));
            let expected: Vec<usize> = expected.into_iter().map(usize::from).collect();
            assert_eq!(classes_of(&ours, &fresh), expected, "seed {seed}");
        }
    }

    #[test]
    fn unlimited_tree_knows_its_own_rows() {
        for (classes, each, noise) in [(2, 30, 0.5), (3, 20, 2.0), (17, 9, 1.0)] {
            let (rows, owners) = planted(classes, each, 20, noise, 4);
            let tree = grow(&rows, &owners, 4, 100);
            assert_eq!(classes_of(&tree, &rows), owners, "{classes} classes");
        }
    }

    #[test]
    fn split_whose_halves_vote_alike_is_kept() {
        // The best first split is at 3.5: 4 of class 0 on the left, 4 of 7 on the right.
        // linfa prunes that root.
        let rows = Array2::from_shape_fn((11, 1), |(row, _)| row as f32);
        let labels = [0, 0, 0, 0, 1, 0, 1, 0, 1, 0, 0];
        let tree = grow(&rows, &labels, 1, 10);
        assert_eq!(classes_of(&tree, &rows), labels);
        // With no depth left below it, the same split says nothing.
        assert_eq!(grow(&rows, &labels, 1, 1).nodes, [Node::Leaf { class: 0 }]);
    }

    #[test]
    fn close_values_are_told_apart() {
        let rows = Array2::from_shape_fn((8, 1), |(row, _)| 0.25 + row as f32 * 1e-7);
        let labels = [0, 0, 0, 0, 1, 1, 1, 1];
        assert_eq!(classes_of(&grow(&rows, &labels, 1, 4), &rows), labels);
    }

    #[test]
    fn adjacent_numbers_are_told_apart() {
        for low in [1.0_f32, 1.0_f32.next_up(), -1.0, (-1.0_f32).next_down()] {
            let rows = Array2::from_shape_vec((2, 1), vec![low, low.next_up()]).unwrap();
            assert_eq!(classes_of(&grow(&rows, &[0, 1], 1, 1), &rows), [0, 1], "{low}");
        }
    }

    #[test]
    fn rows_that_nothing_tells_apart_share_a_leaf_of_the_most_frequent_class() {
        let rows = Array2::<f32>::ones((5, 3));
        for (labels, class) in [([0, 1, 1, 0, 1], 1), ([0, 2, 2, 0, 1], 0)] {
            let tree = grow(&rows, &labels, 2, 9);
            assert_eq!(tree.nodes, [Node::Leaf { class }]);
        }
    }

    #[test]
    fn depth_is_limited() {
        let rows = random_rows(200, 6, 1);
        let labels: Vec<usize> = (0..200).map(|row| row * 7 % 5).collect();
        for depth_max in 1..6 {
            let nodes = grow(&rows, &labels, 3, depth_max).nodes.len();
            assert!(nodes < 1 << (depth_max + 1), "{nodes} nodes at depth {depth_max}");
        }
    }

    #[test]
    fn broken_trees_are_refused_and_walking_them_ends() {
        let leaf = Node::Leaf { class: 0 };
        let split = |feature, threshold, right| Node::Split { feature, threshold, right };
        struct Case {
            what: &'static str,
            nodes: Vec<Node>,
            bad: usize,
        }
        for case in [
            Case { what: "no nodes", nodes: vec![], bad: 0 },
            Case { what: "class", nodes: vec![Node::Leaf { class: 2 }], bad: 0 },
            Case {
                what: "feature",
                nodes: vec![split(3, 0.0, 2), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "threshold",
                nodes: vec![split(0, f32::NAN, 2), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "outside",
                nodes: vec![split(0, 0.0, 3), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "itself",
                nodes: vec![split(0, 0.0, 0), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "both the same",
                nodes: vec![split(0, 0.0, 1), leaf.clone(), leaf.clone()],
                bad: 0,
            },
            Case {
                what: "back",
                nodes: vec![split(0, 0.0, 2), leaf.clone(), split(0, 0.0, 1), leaf.clone()],
                bad: 2,
            },
            Case {
                what: "ends in a split",
                nodes: vec![split(0, 0.0, 2), leaf.clone(), split(0, 0.0, 3)],
                bad: 2,
            },
        ] {
            let tree = Tree { nodes: case.nodes };
            let found = tree.validate(7, 3, 2);
            let bad = match found {
                Err(LearnError::MalformedTree { tree: 7, node }) => Some(node),
                _ => None,
            };
            assert_eq!(bad, Some(case.bad), "{}", case.what);
            tree.class_of(Array1::ones(3).view());
            tree.class_of(Array1::zeros(1).view());
        }
    }

    #[test]
    fn most_frequent_is_the_lowest_among_equals() {
        for (counts, best) in [(vec![], 0), (vec![0, 0], 0), (vec![1, 3, 3], 1), (vec![2, 1, 3], 2)]
        {
            assert_eq!(most_frequent::<u32>(&counts), best, "{counts:?}");
        }
    }
}
