//! Random lives of a database beside a plain map: add, remove, move, relabel, search with and without
//! a filter, freeze, compact, restore from a backup, fill and remove a second network, reopen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::{ColourGrid, Random, age, paint};
use lookalike::inference::Encoder;
use lookalike::{Control, Database, Filter, GraphPolicy, ImageRow, IndexOptions, Search, store};
use proptest::prelude::*;

/// One step of a life. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Remove(usize),
    Relabel(usize, Option<&'static str>),
    Move(usize, u64),
    Search(usize, Option<&'static str>),
    Freeze,
    Compact,
    Restore,
    SecondNetwork,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let label = || prop_oneof![Just(None), Just(Some("cat")), Just(Some("dog"))];
    prop_oneof![
        4 => any::<u64>().prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), label()).prop_map(|(which, label)| Step::Relabel(which, label)),
        1 => (any::<usize>(), any::<u64>()).prop_map(|(which, name)| Step::Move(which, name)),
        3 => (any::<usize>(), label()).prop_map(|(which, label)| Step::Search(which, label)),
        1 => Just(Step::Freeze),
        1 => Just(Step::Compact),
        1 => Just(Step::Restore),
        1 => Just(Step::SecondNetwork),
        1 => Just(Step::Reopen),
    ]
}

/// The database, and what it should hold: content and label by path.
struct Life {
    folder: tempfile::TempDir,
    database: Option<Database>,
    expected: BTreeMap<String, (String, Option<&'static str>)>,
}

impl Life {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut life = Self { folder, database: None, expected: BTreeMap::new() };
        life.open();
        life
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("db")
    }

    fn open(&mut self) {
        // One process, one database: the old one goes first.
        self.database = None;
        self.database = Some(Database::create(&self.directory(), ColourGrid::new()).unwrap());
    }

    fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }

    fn index(&self) {
        let folders = [self.folder.path().canonicalize().unwrap()];
        let report =
            self.database().index(&folders, &IndexOptions::default(), Control::default()).unwrap();
        assert!(report.failed.is_empty(), "{report:?}");
    }

    fn rows(&self) -> Vec<ImageRow> {
        self.database().images(&Filter::default()).unwrap()
    }

    /// The image that a number chooses, with its path.
    fn some(&self, number: usize) -> Option<(String, ImageRow)> {
        let rows = self.rows();
        let row = rows.get(number % rows.len().max(1))?.clone();
        Some((row.locations[0].to_string(), row))
    }

    fn live(&mut self, step: &Step) {
        match step {
            Step::Add(seed) => {
                let name = format!("{seed}.png");
                let path = self.folder.path().join(&name);
                let hash = paint(&path, &mut Random(*seed));
                age(&path);
                self.index();
                self.expected.insert(name, (hash, None));
            }
            Step::Remove(which) => {
                let Some((name, _)) = self.some(*which) else { return };
                std::fs::remove_file(self.folder.path().join(&name)).unwrap();
                self.index();
                let garbage = self.database().garbage().unwrap();
                assert_eq!(garbage.len(), 1);
                self.database().remove_garbage(&garbage).unwrap();
                self.expected.remove(&name);
            }
            Step::Relabel(which, label) => {
                let Some((name, row)) = self.some(*which) else { return };
                self.database().label(*label, &[row.id]).unwrap();
                self.expected.get_mut(&name).unwrap().1 = *label;
            }
            Step::Move(which, name) => {
                let Some((old, _)) = self.some(*which) else { return };
                let new = format!("moved {name}.png");
                let place = |name: &str| self.folder.path().join(name);
                std::fs::rename(place(&old), place(&new)).unwrap();
                self.index();
                let content = self.expected.remove(&old).unwrap();
                self.expected.insert(new, content);
            }
            Step::Search(which, label) => self.search(*which, *label),
            Step::Freeze => {
                let never = || false;
                self.database().update_graph(GraphPolicy::Always, &never, &|_, _, _| ()).unwrap();
            }
            Step::Compact => {
                self.database = None;
                store::compact(&self.directory(), &|_, _| ()).unwrap();
                self.open();
            }
            Step::Restore => {
                let copy = tempfile::tempdir().unwrap();
                let copy = copy.path().join("copy");
                self.database().backup(&copy, &|_, _| ()).unwrap();
                self.database = None;
                store::restore(&copy, &self.directory(), true).unwrap();
                self.open();
            }
            Step::SecondNetwork => {
                self.database = None;
                let second = ColourGrid::named("second");
                let database = Database::create(&self.directory(), second.clone()).unwrap();
                self.database = Some(database.beside());
                self.index();
                self.open();
                self.database().remove_space(second.space()).unwrap();
            }
            Step::Reopen => self.open(),
        }
    }

    /// Every other image, or every other one with a label, is a hit, in the order of the cosines
    /// that a plain loop gives.
    fn search(&mut self, which: usize, label: Option<&str>) {
        let Some((_, row)) = self.some(which) else { return };
        let query = self.database().embedding(row.id).unwrap();
        let mut expected: Vec<f32> = Vec::new();
        let passes = |other: &&ImageRow| {
            other.id != row.id && (label.is_none() || other.label.as_deref() == label)
        };
        for other in self.rows().iter().filter(passes) {
            let other = self.database().embedding(other.id).unwrap();
            expected.push(query.cosine(&other).unwrap());
        }
        expected.sort_by(|a, b| b.total_cmp(a));
        // Once with all images in memory, and once with none: a graph then reads what it finds.
        self.check_hits(&row, label, &expected);
        self.open();
        self.check_hits(&row, label, &expected);
    }

    fn check_hits(&self, row: &ImageRow, label: Option<&str>, expected: &[f32]) {
        for exact in [false, true] {
            let mut search = Search { top: 100, exact, ..Search::default() };
            search.filter.label = label.map(str::to_owned);
            let found = self.database().search_image(row.id, &search);
            // A label that no image has is an error, for it is mistyped.
            let hits = if expected.is_empty() { found.unwrap_or_default() } else { found.unwrap() };
            assert_eq!(hits.len(), expected.len(), "exact {exact}");
            for (hit, expected) in hits.iter().zip(expected) {
                assert!((hit.score - expected).abs() < 1e-4, "{} {expected}", hit.score);
            }
        }
    }

    fn check(&self) {
        let found: BTreeMap<_, _> = self
            .rows()
            .into_iter()
            .map(|row| {
                assert_eq!(row.locations.len(), 1);
                (row.locations[0].to_string(), (row.record.hash.to_string(), row.label))
            })
            .collect();
        let expected: BTreeMap<_, _> = self
            .expected
            .iter()
            .map(|(name, (hash, label))| (name.clone(), (hash.clone(), label.map(str::to_owned))))
            .collect();
        assert_eq!(found, expected);
    }
}

/// Lives that are tried: few where tests are run often; `LOOKALIKE_FAULTS=300` tries more.
fn lives() -> u32 {
    std::env::var("LOOKALIKE_FAULTS").map_or(12, |count| count.parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: lives(),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..ProptestConfig::default()
    })]
    #[test]
    fn a_database_holds_what_a_map_holds(steps in prop::collection::vec(step(), 1..25)) {
        let mut life = Life::new();
        for step in &steps {
            life.live(step);
            life.check();
        }
        life.open();
        life.check();
        let report = life.database().verify(10).unwrap();
        prop_assert!(report.problems.iter().all(|problem| problem.contains("graph")), "{report:?}");
    }
}
