//! The graphs that are most similar to one.

use connectome_systems::{
    Workers,
    algorithms::{
        LabeledGraph, ParallelGraph,
        edit_distance::{EditComparison, EditCosts, EditError, OperationCosts, SearchBudget, edit_distance},
    },
};
use std::collections::BTreeSet;

use crate::colors::canonical_hash;
use crate::error::MemoryError;
use crate::memory::GraphMemory;
use crate::vector::GraphVector;

/// The maximum number of nodes of graphs whose edit distance is computed; larger ones are ranked by their vectors.
pub const MAX_COMPARED_NODES: usize = 256;

/// The graphs that are searched for a smaller upper bound before the others' are taken into account.
const BATCH: usize = 8;

/// The expansions of a search that only shows whether a longer one is worthwhile.
const SHORT: u64 = 128;

/// What is looked for, and how thoroughly.
#[derive(Clone, Debug, PartialEq)]
pub struct Query {
    /// The number of graphs to find.
    pub count: usize,
    /// The number of graphs, nearest by their vectors, whose edit distances are computed. With 0 graphs are ranked by
    /// their vectors alone.
    pub shortlist: usize,
    /// The vector of the graph, if those in the memory were [given](crate::NewGraph::vector).
    pub vector: Option<GraphVector>,
    /// The costs of edit operations.
    pub costs: EditCosts,
    /// The budget of each comparison. A time limit makes answers depend on the machine.
    pub budget: SearchBudget,
}

/// Ten graphs of a shortlist of 80, with unit costs and at most 1,000 expansions for each.
impl Default for Query {
    fn default() -> Self {
        let budget = SearchBudget { expansions: Some(1_000), time: None };
        Self { count: 10, shortlist: 80, vector: None, costs: EditCosts::default(), budget }
    }
}

/// A graph that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Match {
    /// Its identifier.
    pub id: u64,
    /// The distance of the vectors.
    pub vector_distance: u32,
    /// The lower and the upper bound on the edit distance; equal if it is exact. None if it was not computed: without a
    /// shortlist, or as a graph has more than [`MAX_COMPARED_NODES`] nodes or the two have too many edge labels.
    pub bounds: Option<[f64; 2]>,
}

impl Match {
    /// The edit distance, if it is exact.
    pub fn distance(&self) -> Option<f64> {
        self.bounds.filter(|[lower, upper]| lower == upper).map(|[_, upper]| upper)
    }

    /// By the upper bound, then the identifier; after those, by the distance of the vectors, then the identifier.
    fn rank(&self) -> (u64, u32, u64) {
        match self.bounds {
            // Costs are not negative, so their bits are in their order.
            Some([_, upper]) => (upper.abs().to_bits(), 0, self.id),
            None => (u64::MAX, self.vector_distance, self.id),
        }
    }
}

/// The graphs that were found, and in which version of the memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// The version of the memory.
    pub version: u64,
    /// The graphs, nearest first: by the upper bound on the edit distance, then by identifier. Those without come last, by
    /// the distance of the vectors, then by identifier.
    pub matches: Vec<Match>,
}

impl GraphMemory {
    /// Finds the graphs that are most similar to one: those with the nearest vectors are put on a shortlist, which is
    /// ranked by edit distance.
    ///
    /// The scan of the vectors is exact; a graph with a small edit distance but a far vector is missed. Of the shortlist no
    /// graph is missed: a comparison is searched to its end unless its lower bound shows that enough others are nearer. To
    /// be sure of finding copies ask [`find_copies`](Self::find_copies).
    ///
    /// The cost is that of a scan of 128 bytes for each graph, and of the comparisons.
    ///
    /// # Errors
    /// If a graph cannot be compared with these costs, the query has a vector and the memory has computed its own or the
    /// other way about, or the file cannot be read.
    pub fn find(&self, graph: &LabeledGraph, query: &Query) -> Result<Answer, MemoryError> {
        let (hash, [labels, refined]) = canonical_hash(graph);
        if let Some(given) = self.has_given_vectors().filter(|given| *given != query.vector.is_some()) {
            return Err(MemoryError::Vectors { given });
        }
        let vector = query.vector.unwrap_or_else(|| GraphVector::from_colors(graph, &labels, &refined));
        let nearest = self.index.nearest(&vector, query.shortlist.max(query.count), &self.workers);
        let mut matches: Vec<Match> = nearest
            .iter()
            .map(|(vector_distance, id)| Match { id: *id, vector_distance: *vector_distance, bounds: None })
            .collect();
        let listed = query.shortlist.min(matches.len());
        if costs_nothing_to_keep(&query.costs) {
            // A copy is at distance 0, however large it is.
            let is_copy = |found: &&Match| self.index.entry(found.id).is_some_and(|entry| entry.hash == hash);
            let ids = matches[..listed].iter().filter(is_copy).map(|found| found.id).collect();
            let copies = BTreeSet::from_iter(self.copies_among(graph, ids)?);
            for found in matches.iter_mut().filter(|found| copies.contains(&found.id)) {
                found.bounds = Some([0.0, 0.0]);
            }
        }
        let ids = matches[..listed].iter().map(|found| found.id);
        let others: Vec<LabeledGraph> =
            self.store.graphs(ids)?.into_iter().map(|found| found.unwrap_or_default().0).collect();
        Refinement { graph, others: &others, query, workers: &self.workers }.refine(&mut matches[..listed])?;
        matches.sort_by_key(Match::rank);
        matches.truncate(query.count);
        Ok(Answer { version: self.version(), matches })
    }
}

/// Whether an edit path that changes nothing costs nothing.
fn costs_nothing_to_keep(costs: &EditCosts) -> bool {
    [costs.nodes(), costs.edges()].iter().all(|costs| matches!(costs, OperationCosts::Uniform { .. }))
}

/// The comparison of a graph with those of a shortlist.
struct Refinement<'a> {
    graph: &'a LabeledGraph,
    others: &'a [LabeledGraph],
    query: &'a Query,
    workers: &'a Workers,
}

impl Refinement<'_> {
    /// Sets the bounds of each graph of the shortlist; those of the nearest are as tight as the budget allows.
    fn refine(&self, matches: &mut [Match]) -> Result<(), MemoryError> {
        let unknown: Vec<usize> = (0..matches.len()).filter(|index| matches[*index].bounds.is_none()).collect();
        self.compare(&unknown, SearchBudget::BOUNDS, matches)?;
        // A short search of all shows which are worth a long one.
        let expansions = self.query.budget.expansions.map_or(SHORT, |all| (all / 8).min(SHORT));
        let short = SearchBudget { expansions: Some(expansions), ..self.query.budget };
        for budget in [short, self.query.budget] {
            self.search(budget, matches)?;
        }
        Ok(())
    }

    /// Searches on for the distances of graphs that may be among the nearest.
    fn search(&self, budget: SearchBudget, matches: &mut [Match]) -> Result<(), MemoryError> {
        // By ascending lower bounds: as soon as one is above the upper bounds of enough others, so are all after it.
        let bounds = |index: usize| matches[index].bounds.filter(|[lower, upper]| lower < upper);
        let mut open: Vec<(f64, usize)> =
            (0..matches.len()).filter_map(|index| bounds(index).map(|[lower, _]| (lower, index))).collect();
        open.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
        for batch in open.chunks(BATCH) {
            let limit = self.limit(matches);
            let batch: Vec<usize> =
                batch.iter().filter(|(lower, _)| *lower <= limit).map(|(_, index)| *index).collect();
            if batch.is_empty() {
                break;
            }
            self.compare(&batch, budget, matches)?;
        }
        Ok(())
    }

    /// The upper bound of the last graph that would be found now.
    fn limit(&self, matches: &[Match]) -> f64 {
        let mut upper: Vec<f64> = matches.iter().filter_map(|found| found.bounds.map(|[_, upper]| upper)).collect();
        upper.sort_by(f64::total_cmp);
        self.query.count.checked_sub(1).and_then(|last| upper.get(last).copied()).unwrap_or(f64::INFINITY)
    }

    /// Compares graphs, in parallel; the result does not depend on the number of workers, as which ones are compared does
    /// not.
    fn compare(&self, indices: &[usize], budget: SearchBudget, matches: &mut [Match]) -> Result<(), MemoryError> {
        let is_small = |graph: &LabeledGraph| graph.node_count() <= MAX_COMPARED_NODES;
        let compare = |position: usize| {
            let other = &self.others[indices[position]];
            if !is_small(self.graph) || !is_small(other) {
                return Ok(None);
            }
            match edit_distance(self.graph, other, &self.query.costs, budget, &Workers::single()) {
                Ok(EditComparison { lower, upper, .. }) => Ok(Some([lower, upper])),
                Err(EditError::TooManyEdgeLabels { .. }) => Ok(None),
                Err(error) => Err(error),
            }
        };
        for (index, bounds) in indices.iter().zip(self.workers.map(indices.len(), compare)) {
            let known = matches[*index].bounds;
            // A search that was stopped may have found less than a shorter one.
            matches[*index].bounds = match (bounds?, known) {
                (Some([lower, upper]), Some([least, most])) => Some([lower.max(least), upper.min(most)]),
                (bounds, _) => bounds,
            };
        }
        Ok(())
    }
}
