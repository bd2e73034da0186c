//! Random lives of a database beside a plain map: add, remove, relabel, search, freeze, compact,
//! reopen.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on panics")]

mod common;

use std::collections::BTreeMap;
use std::path::PathBuf;

use common::{ColourGrid, Random, age, paint};
use lookalike::{Control, Database, Filter, GraphPolicy, ImageRow, IndexOptions, Search, store};
use proptest::prelude::*;

/// One step of a life. Numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Add(u64),
    Remove(usize),
    Relabel(usize, Option<&'static str>),
    Search(usize),
    Freeze,
    Compact,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let label = prop_oneof![Just(None), Just(Some("cat")), Just(Some("dog"))];
    prop_oneof![
        4 => any::<u64>().prop_map(Step::Add),
        2 => any::<usize>().prop_map(Step::Remove),
        2 => (any::<usize>(), label).prop_map(|(which, label)| Step::Relabel(which, label)),
        2 => any::<usize>().prop_map(Step::Search),
        1 => Just(Step::Freeze),
        1 => Just(Step::Compact),
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
            Step::Search(which) => self.search(*which),
            Step::Freeze => {
                let never = || false;
                self.database().update_graph(GraphPolicy::Always, &never, &|_, _, _| ()).unwrap();
            }
            Step::Compact => {
                self.database = None;
                store::compact(&self.directory(), &|_, _| ()).unwrap();
                self.open();
            }
            Step::Reopen => self.open(),
        }
    }

    /// Every other image is a hit, in the order of the cosines that a plain loop gives.
    fn search(&mut self, which: usize) {
        let Some((_, row)) = self.some(which) else { return };
        let query = self.database().embedding(row.id).unwrap();
        let mut expected: Vec<f32> = Vec::new();
        for other in self.rows().iter().filter(|other| other.id != row.id) {
            let other = self.database().embedding(other.id).unwrap();
            expected.push(query.cosine(&other).unwrap());
        }
        expected.sort_by(|a, b| b.total_cmp(a));
        // Once with all images in memory, and once with none: a graph then reads what it finds.
        self.check_hits(&row, &expected);
        self.open();
        self.check_hits(&row, &expected);
    }

    fn check_hits(&self, row: &ImageRow, expected: &[f32]) {
        for exact in [false, true] {
            let search = Search { top: 100, exact, ..Search::default() };
            let hits = self.database().search_image(row.id, &search).unwrap();
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
