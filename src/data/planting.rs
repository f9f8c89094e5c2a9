//! Graphs of functions in which misuses of variables are planted.

use connectome_components::Split;
use connectome_languages::code::{CodeGraph, Function, MisuseEdge, MisuseError, MisuseExample, MisuseGraph, Python};
use connectome_systems::random::{Philox, RandomStream};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::sync::Arc;
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use super::{DenseRows, EpochGraphs, Features, GraphData, GraphSet, MisuseChoice, MisuseData};

/// Functions to learn from, and those that are measured.
#[derive(Debug)]
pub struct PlantedFunctions {
    /// The functions to learn from, without a misuse, file by file.
    functions: Vec<Vec<MisuseExample>>,
    /// How many of them are learned from in an epoch, each with a misuse and without.
    per_epoch: usize,
    /// The graphs of what is measured.
    measured: Vec<(MisuseGraph, MisuseChoice, Split)>,
}

/// The random streams of the functions of an epoch, and of the misuses that are planted in them.
const FUNCTIONS: u32 = 0x6675_6e63;
const PLANTED: u32 = 0x706c_616e;

/// The positions of children that are distinguished.
const POSITIONS: usize = 6;

const RIGHT: f32 = 1.0;
const WRONG: f32 = 0.0;
const EXCLUDED: f32 = -1.0;

/// How many of 256 names are hidden in a graph that is learned from, as it is drawn for the graph: by a few of them it learns
/// what names mean, by many what it can do without.
const HIDDEN_OF_256: [u64; 4] = [32, 64, 128, 192];

/// The graph of an example, and what is right in it.
///
/// # Errors
/// If there is nothing to choose, or the graph would be too large.
pub fn misuse_graph(example: &MisuseExample) -> Result<(MisuseGraph, MisuseChoice), MisuseError> {
    graph_without_names(example, &|_| false)
}

fn graph_without_names(
    example: &MisuseExample,
    is_hidden: &dyn Fn(&str) -> bool,
) -> Result<(MisuseGraph, MisuseChoice), MisuseError> {
    // Without a parse there are no variables.
    let code = CodeGraph::new(&example.code, &Python).map_err(|_| MisuseError::NoChoice)?;
    let graph = MisuseGraph::without_names(&code, &example.function(&code, &Python)?, &Python, is_hidden)?;
    let mut choice = choice(&graph);
    let is_right = |[load, candidate]: &[u32; 2]| {
        let is_at = |load_of_misuse: usize| load_of_misuse == *load as usize;
        let misuse = example.misuse.as_ref();
        misuse.is_some_and(|one| is_at(one.load) && example.candidates[*candidate as usize] == one.right)
    };
    choice.right = choice.hypotheses.iter().position(is_right);
    Ok((graph, choice))
}

/// The graph of a function of a program, of which nothing is known.
///
/// # Errors
/// If there is nothing to choose, or the graph would be too large.
pub fn function_graph(code: &CodeGraph, function: &Function) -> Result<(MisuseGraph, MisuseChoice), MisuseError> {
    let graph = MisuseGraph::new(code, function, &Python)?;
    let choice = choice(&graph);
    Ok((graph, choice))
}

/// What there is to choose in a graph, without what is right.
fn choice(graph: &MisuseGraph) -> MisuseChoice {
    let hypotheses = graph.hypotheses().iter().map(|one| [one.load, one.candidate]).collect();
    MisuseChoice { nodes: graph.node_count(), hypotheses, right: None }
}

/// Functions of which nothing is known as graphs of the split Test.
pub fn function_graphs(graphs: &[(MisuseGraph, MisuseChoice)]) -> GraphData {
    let mut encoder = Encoder::default();
    graphs.iter().for_each(|(graph, choice)| encoder.add(graph, choice, Split::Test));
    encoder.finish()
}

impl PlantedFunctions {
    /// Functions to learn from, file by file, of which `per_epoch` are taken in an epoch, and examples that are measured. All
    /// are known to have a graph.
    pub fn new(
        functions: Vec<Vec<MisuseExample>>,
        per_epoch: usize,
        measured: Vec<(MisuseGraph, MisuseChoice, Split)>,
    ) -> Self {
        Self { functions, per_epoch, measured }
    }

    /// The graphs of the first epoch, with those of the others.
    pub fn into_graphs(self, seed: u64) -> GraphData {
        let measured = self.measured.iter().map(|(_, choice, split)| (choice.clone(), *split)).collect();
        let source: Arc<dyn EpochGraphs> = Arc::new(self);
        GraphData { misuse: Some(Arc::new(MisuseData { measured, source: source.clone() })), ..source.graphs(seed, 0) }
    }

    /// The functions of an epoch, numbered. They are taken from all files alike, from each in a random order that begins again
    /// at its end.
    fn choose(&self, seed: u64, epoch: u64) -> Vec<(&MisuseExample, u64)> {
        let files: Vec<&Vec<MisuseExample>> = self.functions.iter().filter(|file| !file.is_empty()).collect();
        let all = files.len().max(1);
        let share = |file: usize| (self.per_epoch / all + usize::from(file < self.per_epoch % all)) as u64;
        let mut chosen = Vec::with_capacity(self.per_epoch);
        for (file, functions) in files.iter().enumerate() {
            let (count, begin) = (functions.len() as u64, epoch.saturating_mul(share(file)));
            // A shuffle for each pass over the file, and a part of it for each epoch.
            let mut order: Vec<usize> = Vec::new();
            for place in begin..begin.saturating_add(share(file)) {
                if order.is_empty() || place.is_multiple_of(count) {
                    order = (0..functions.len()).collect();
                    let stream = (file as u64) << 48 | (place / count);
                    RandomStream::new(Philox::new(seed, FUNCTIONS, stream)).shuffle(&mut order);
                }
                chosen.push(&functions[order[(place % count) as usize]]);
            }
        }
        chosen.into_iter().zip(0..).collect()
    }

    /// The graphs of a function with a misuse, and without: one load, drawn evenly, reads another variable, drawn evenly. Some
    /// names, others in each graph, are hidden.
    fn plant(function: &MisuseExample, random: Philox) -> [Option<(MisuseGraph, MisuseChoice)>; 2] {
        let mut draws = RandomStream::new(random);
        let mut below = |count: usize| draws.below(count as u64) as usize;
        let load = below(function.loads.len());
        let planted = function.loads.get(load).and_then(|read| {
            let others: Vec<&String> = function.candidates.iter().filter(|other| **other != read.name).collect();
            let wrong = others.get(below(others.len()))?;
            function.plant(load, wrong).ok()
        });
        [planted.as_ref(), Some(function)].map(|example| {
            let key = draws.below(u64::MAX);
            let hidden = HIDDEN_OF_256[draws.below(HIDDEN_OF_256.len() as u64) as usize];
            let is_hidden = |name: &str| xxh3_64_with_seed(name.as_bytes(), key) % 256 < hidden;
            graph_without_names(example?, &is_hidden).ok()
        })
    }
}

impl EpochGraphs for PlantedFunctions {
    fn graphs(&self, seed: u64, epoch: u64) -> GraphData {
        let chosen = self.choose(seed, epoch);
        let learned: Vec<_> = (chosen.par_iter())
            .map(|(function, number)| Self::plant(function, Philox::new(seed, PLANTED, epoch << 32 | number)))
            .collect();
        let mut encoder = Encoder::default();
        learned.iter().flatten().flatten().for_each(|(graph, choice)| encoder.add(graph, choice, Split::Train));
        self.measured.iter().for_each(|(graph, choice, split)| encoder.add(graph, choice, *split));
        encoder.finish()
    }

    fn fingerprint(&self) -> u128 {
        let mut hash = Xxh3::new();
        hash.update(&(self.per_epoch as u64).to_le_bytes());
        for function in self.functions.iter().flatten() {
            hash.update(&(function.code.len() as u64).to_le_bytes());
            hash.update(function.code.as_bytes());
        }
        hash.digest128()
    }
}

/// Graphs as rows.
#[derive(Default)]
struct Encoder {
    words: Vec<u32>,
    values: Vec<f32>,
    offsets: Vec<usize>,
    edges: Vec<[u32; 2]>,
    kinds: Vec<f32>,
    targets: Vec<f32>,
    set: GraphSet,
}

impl Encoder {
    /// Number of features of an edge: one-hot codes of its kind and of the position of a child.
    const EDGE_WIDTH: usize = MisuseGraph::KINDS as usize + POSITIONS;

    fn add(&mut self, graph: &MisuseGraph, choice: &MisuseChoice, split: Split) {
        let first = self.targets.len() as u32;
        for node in 0..graph.node_count() {
            let words = graph.words(node);
            // All rows have the same length, whatever graphs there are.
            let padding = MisuseGraph::MAX_WORDS - words.len();
            self.offsets.push(self.words.len());
            self.words.extend(words.iter().copied().chain(std::iter::repeat_n(0, padding)));
            self.values.extend((0..MisuseGraph::MAX_WORDS).map(|word| f32::from(word < words.len())));
        }
        // Edges between the same nodes are one, of several kinds: the order of parallel ones would not be known.
        let mut edges: Vec<&MisuseEdge> = graph.edges().iter().collect();
        edges.sort_by_key(|edge| [edge.source, edge.target]);
        self.set.edge_offsets.push(self.edges.len());
        for same in edges.chunk_by(|one, other| (one.source, one.target) == (other.source, other.target)) {
            self.edges.push([first + same[0].source, first + same[0].target]);
            let start = self.kinds.len();
            self.kinds.resize(start + Self::EDGE_WIDTH, 0.0);
            for edge in same {
                self.kinds[start + edge.kind as usize] = 1.0;
                if let Some(position) = edge.position {
                    let position = (position as usize).min(POSITIONS - 1);
                    self.kinds[start + MisuseGraph::KINDS as usize + position] = 1.0;
                }
            }
        }
        self.targets.resize(first as usize + graph.first_hypothesis(), EXCLUDED);
        let start = self.targets.len();
        self.targets.resize(start + choice.hypotheses.len() + 1, WRONG);
        self.targets[start + choice.right.unwrap_or(choice.hypotheses.len())] = RIGHT;
        self.set.labels.push(0);
        self.set.splits.push(split);
        self.set.node_offsets.push(first as usize);
    }

    fn finish(mut self) -> GraphData {
        self.offsets.push(self.words.len());
        self.set.node_offsets.push(self.targets.len());
        self.set.edge_offsets.push(self.edges.len());
        self.set.classes = 1;
        GraphData {
            nodes: self.targets.len(),
            features: Features::Sparse {
                width: MisuseGraph::WORDS as usize,
                offsets: self.offsets,
                indices: self.words,
                values: self.values,
            },
            edges: self.edges,
            edge_features: Some(DenseRows { width: Self::EDGE_WIDTH, values: self.kinds }),
            targets: Some(DenseRows { width: 1, values: self.targets }),
            graphs: Some(self.set),
            ..GraphData::default()
        }
    }
}
