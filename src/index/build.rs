//! Building a graph index: insertion, choice of the search width, audit.

use std::ops::ControlFlow;
use std::sync::Arc;

use rand::{Rng, seq::SliceRandom};
use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};

use super::audit::{Sample, find_unreachable};
use super::codes::{Codes, QueryCodes};
use super::graph::{Builder, Construction, Tuning, Weave};
use super::relink::relink;
use super::{ExactIndex, GraphIndex, IndexError, NodeFilter, RecallReport, VectorIndex, VectorSet};

/// How a graph is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphParameters {
    /// Links per node and level, twice as many on level 0; in 2..=64. More find more and cost
    /// more memory (8 bytes each per node) and time.
    pub links_max: usize,
    /// Candidates considered for the links of a node; in 1..=4096. More make better links and a
    /// slower build.
    pub ef_construction: usize,
    /// Seed of the order of insertion and of the levels.
    pub seed: u64,
    /// What builds it.
    pub builder: GraphBuilder,
    /// Share of the ten nearest that searches are to find, in thousandths; in 1..=1000.
    pub recall_per_mille: usize,
}

/// Who links the nodes of a graph.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphBuilder {
    /// Our own construction: the same graph for any number of threads.
    #[default]
    Weave,
    /// The crate `hnsw_rs`: several times slower, and on several threads different in each run.
    /// It keeps a copy of the vectors.
    HnswRs,
}

impl Default for GraphParameters {
    /// 16 links, 200 candidates, and a recall of .99.
    ///
    /// Measured on EPYC, 2 cores, 2026-11, queries a second at recall .99 on one thread: on 52,000
    /// embeddings of crops of photos 16/100 gave 8,300, 16/200 10,500 and 24/200 10,900; on
    /// 100,000 x 512 generated in bursts 23,100, 23,800 and 22,700. 16/200 takes 1.3 to 1.4 times
    /// as long to build as 16/100.
    fn default() -> Self {
        Self {
            links_max: 16,
            ef_construction: 200,
            seed: 0,
            builder: GraphBuilder::Weave,
            recall_per_mille: 990,
        }
    }
}

/// What a build is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildPhase {
    /// Nodes are being linked; nearly all of the time.
    Insert,
    /// Each node is looked up in the finished graph.
    Audit,
}

/// How far a build has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuildProgress {
    /// What the build is doing.
    pub phase: BuildPhase,
    /// Nodes done in this phase.
    pub done: usize,
    /// Nodes in all.
    pub total: usize,
}

/// Builds a graph over `vectors`, chooses how far searches walk, and verifies it.
///
/// Nodes are inserted in an order shuffled by the seed. One in twenty, at most 256, are held back
/// at first, half of them in two runs of nodes that follow each other: they are the queries with
/// which the search width is chosen, the least that finds the wanted share of the ten nearest of
/// both halves, or the greatest if none does. Then they are inserted too, and each node is looked
/// up; those that a walk does not find are linked again, or else scanned by each search.
///
/// Runs on the current rayon pool. The same vectors and parameters give the same graph on every
/// machine and any number of threads, unless `hnsw_rs` builds it. `progress` is called several
/// times a second and may stop the build. 100,000 vectors of 512 components take 7 s on two cores.
///
/// # Errors
///
/// [`IndexError::ParameterOutOfRange`] for parameters outside their ranges, and
/// [`IndexError::Stopped`] if `progress` breaks.
pub fn build_graph(
    vectors: Arc<VectorSet>,
    parameters: GraphParameters,
    progress: &dyn Fn(BuildProgress) -> ControlFlow<()>,
) -> Result<GraphIndex, IndexError> {
    parameters.check()?;
    let codes = Codes::encode(&vectors);
    let (links_max, ef_construction) = (parameters.links_max, parameters.ef_construction);
    let mut builder: Box<dyn Builder> = match parameters.builder {
        GraphBuilder::Weave => {
            Box::new(Weave::new(codes.view(), links_max, ef_construction, parameters.seed))
        }
        GraphBuilder::HnswRs => Box::new(Construction::new(&vectors, links_max, ef_construction)),
    };
    let Order { first, scattered, runs } = Order::new(vectors.len(), parameters.seed);

    insert(&mut *builder, &first, 0, vectors.len(), progress)?;
    let wanted = parameters.recall_per_mille as f64 / 1000.0;
    let untuned = Tuning::unknown(parameters, EF_MAX);
    let trial = GraphIndex::new(codes.clone(), builder.freeze(), untuned.clone());
    let (ef, recall) = choose_ef(&trial, &vectors, [&scattered, &runs], wanted)?;
    drop(trial);
    let held_out = [scattered, runs].concat();
    insert(&mut *builder, &held_out, first.len(), vectors.len(), progress)?;

    let links = builder.freeze();
    drop(builder);
    let tuning = Tuning { ef, recall, ..untuned };
    let graph = GraphIndex::new(codes, links, tuning);
    let (phase, total) = (BuildPhase::Audit, graph.len());
    let lost =
        find_unreachable(&graph, &vectors, &|done| progress(BuildProgress { phase, done, total }))?;
    Ok(relink(graph, &vectors, lost))
}

impl GraphParameters {
    /// Refuses parameters outside their ranges. `hnsw_rs` ends the process on some of them.
    pub(super) fn check(&self) -> Result<(), IndexError> {
        check_range("links_max", self.links_max, 2, LINKS_MAX)?;
        check_range("recall_per_mille", self.recall_per_mille, 1, 1000)?;
        check_range("ef_construction", self.ef_construction, 1, EF_CONSTRUCTION_MAX)
    }
}

fn check_range(
    name: &'static str,
    found: usize,
    least: usize,
    greatest: usize,
) -> Result<(), IndexError> {
    if (least..=greatest).contains(&found) {
        return Ok(());
    }
    Err(IndexError::ParameterOutOfRange { name, least, greatest, found })
}

/// All nodes in an order that has nothing to do with the bursts in which photos come.
struct Order {
    first: Vec<u32>,
    /// Held out one by one: others of their bursts stay, as for a query by a photo that is known.
    scattered: Vec<u32>,
    /// Held out with their neighbors in the order of arrival: as photos of something new are.
    runs: Vec<u32>,
}

impl Order {
    fn new(len: usize, seed: u64) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut first: Vec<u32> = (0..len as u32).collect();
        first.shuffle(&mut random);
        let held_out = (len / 20).min(HELD_OUT_MAX) / 2;
        let (run, part) = (held_out / RUNS, len / RUNS);
        let starts: Vec<usize> =
            (0..RUNS).map(|index| index * part + random.gen_range(0..=part - run)).collect();
        let is_in_run = |node: &u32| {
            starts.iter().any(|start| (*start..start + run).contains(&(*node as usize)))
        };
        let runs: Vec<u32> = first.iter().copied().filter(is_in_run).collect();
        first.retain(|node| !is_in_run(node));
        let scattered = first.split_off(first.len() - held_out);
        Self { first, scattered, runs }
    }
}

fn insert(
    builder: &mut dyn Builder,
    nodes: &[u32],
    done_before: usize,
    total: usize,
    progress: &dyn Fn(BuildProgress) -> ControlFlow<()>,
) -> Result<(), IndexError> {
    let mut done = done_before;
    for chunk in nodes.chunks(INSERT_CHUNK) {
        builder.insert(chunk);
        done += chunk.len();
        let phase = BuildPhase::Insert;
        if progress(BuildProgress { phase, done, total }).is_break() {
            return Err(IndexError::Stopped { done, total });
        }
    }
    Ok(())
}

/// The least width that finds the `wanted` share of the ten nearest of both kinds of queries, and
/// what it found of those that are harder.
fn choose_ef(
    trial: &GraphIndex,
    vectors: &Arc<VectorSet>,
    held_out: [&[u32]; 2],
    wanted: f64,
) -> Result<(usize, RecallReport), IndexError> {
    let mut inserted = NodeFilter::from_predicate(trial.len(), |_| true);
    held_out.iter().copied().flatten().for_each(|&node| inserted.remove(node));
    let exact = ExactIndex::new(Arc::clone(vectors));
    let sample = |nodes: &[u32]| {
        let queries = nodes.iter().map(|&node| vectors.row(node)).collect();
        Sample::new(&exact, queries, TUNED_K, Some(&inserted))
    };
    let samples = [sample(held_out[0])?, sample(held_out[1])?];
    let mut chosen = (EF_MAX, RecallReport::unknown(TUNED_K));
    for ef in EF_LADDER {
        let walk = |query: &[f32]| {
            let query = QueryCodes::encode(query);
            Ok(trial.walk(&query, TUNED_K, ef, None).unwrap_or_default())
        };
        let [known, new] =
            [samples[0].recall::<IndexError>(walk)?, samples[1].recall::<IndexError>(walk)?];
        chosen = (ef, if new.recall() < known.recall() { new } else { known });
        if chosen.1.recall() >= wanted {
            break;
        }
    }
    Ok(chosen)
}

/// The number of neighbors that the search width is chosen for.
const TUNED_K: usize = 10;

/// The widths tried, in this order.
const EF_LADDER: [usize; 16] =
    [10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 64, 96, 128, 192, 256, EF_MAX];

/// The width of last resort.
const EF_MAX: usize = 512;

/// Queries held out at most: their scans take some seconds at 1,000,000 vectors.
const HELD_OUT_MAX: usize = 256;

/// Runs in which half of them lie.
const RUNS: usize = 2;

/// Nodes inserted between two calls of the progress callback: a second at 1280 components.
const INSERT_CHUNK: usize = 1024;

/// Past 256 `hnsw_rs` ends the process, and long before nothing is gained.
pub(super) const LINKS_MAX: usize = 64;

const EF_CONSTRUCTION_MAX: usize = 4096;

#[cfg(test)]
mod tests {
    use super::super::fixture;
    use super::*;
    use std::cell::RefCell;

    fn small() -> GraphParameters {
        GraphParameters {
            links_max: 12,
            ef_construction: 80,
            seed: 1,
            ..GraphParameters::default()
        }
    }

    #[test]
    fn parameters_outside_their_ranges_are_errors() {
        let vectors = Arc::new(fixture::clusters(3, 9, 8, 0.1, 1));
        let build = |parameters| build_graph(Arc::clone(&vectors), parameters, &fixture::go_on);
        let wrong = GraphParameters { links_max: 256, ..small() };
        let expected = IndexError::ParameterOutOfRange {
            name: "links_max",
            least: 2,
            greatest: 64,
            found: 256,
        };
        assert_eq!(build(wrong).map(|_| ()), Err(expected));
        let wrong = GraphParameters { ef_construction: 0, ..small() };
        assert!(build(wrong).is_err());
    }

    #[test]
    fn a_recall_that_is_asked_for_is_reached_with_no_more_width_than_it_takes() {
        let vectors = Arc::new(fixture::clusters(400, 4000, 32, 0.8, 5));
        let build = |recall_per_mille| {
            let parameters = GraphParameters { recall_per_mille, ..small() };
            build_graph(Arc::clone(&vectors), parameters, &fixture::go_on).expect("a graph")
        };
        let (low, high) = (build(700), build(999));
        assert!(low.recall().recall() >= 0.7 && high.recall().recall() >= 0.999);
        assert!(low.ef() < high.ef(), "{} and {}", low.ef(), high.ef());
        assert!(low.recall().recall() < 0.999);
    }

    #[test]
    fn progress_rises_to_the_total_in_both_phases() {
        let vectors = Arc::new(fixture::clusters(30, 3000, 8, 0.5, 1));
        let seen = RefCell::new(Vec::new());
        let note = |progress: BuildProgress| {
            seen.borrow_mut().push(progress);
            ControlFlow::Continue(())
        };
        build_graph(vectors, small(), &note).expect("a graph");
        for phase in [BuildPhase::Insert, BuildPhase::Audit] {
            let seen = seen.borrow();
            let of_phase = seen.iter().filter(|progress| progress.phase == phase);
            let done: Vec<_> = of_phase.map(|progress| progress.done).collect();
            assert!(done.is_sorted_by(|a, b| a < b));
            assert_eq!(done.last(), Some(&3000));
        }
    }

    #[test]
    fn a_build_that_is_told_to_stop_stops() {
        let vectors = Arc::new(fixture::clusters(30, 3000, 8, 0.5, 1));
        for stop_in in [BuildPhase::Insert, BuildPhase::Audit] {
            let stop = |progress: BuildProgress| {
                let stop = progress.phase == stop_in && progress.done > 1500;
                if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let stopped = build_graph(Arc::clone(&vectors), small(), &stop).map(|_| ());
            assert_eq!(stopped, Err(IndexError::Stopped { done: 2048, total: 3000 }));
        }
    }

    #[test]
    fn insertion_order_is_a_permutation_that_the_seed_decides() {
        let order = |len, seed| {
            let Order { first, scattered, runs } = Order::new(len, seed);
            assert!(scattered.len() - runs.len() < RUNS, "half of them each");
            [first, scattered, runs].concat()
        };
        assert_eq!(order(1000, 1), order(1000, 1));
        assert_ne!(order(1000, 1), order(1000, 2));
        for len in [0, 1, 19, 20, 40, 79, 80, 999] {
            let mut sorted = order(len, 3);
            sorted.sort_unstable();
            assert_eq!(sorted, (0..len as u32).collect::<Vec<_>>());
        }
        let mut sorted = order(1000, 1);
        sorted.sort_unstable();
        assert_ne!(order(1000, 1), sorted);
        assert_eq!(sorted, (0..1000).collect::<Vec<_>>());
    }
}
