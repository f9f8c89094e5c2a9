//! Functions as graphs in which a misused variable can be found.

use std::collections::HashMap;

use xxhash_rust::xxh3::xxh3_64;

use super::{
    CodeGraph, Function, Grammar, MisuseError, Occurrence,
    misuse_words::{
        Counts, MAX_EXPRESSIONS, MAX_PARTS, ends, expressions, name_parts, nearness, surroundings, usage_name,
    },
    syntax::Meaning,
};

/// A variable in the place of a load, where another one stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hypothesis {
    /// Which load of the function it is, counted from 0.
    pub load: u32,
    /// Which candidate would stand there, counted from 0.
    pub candidate: u32,
}

/// An edge between two nodes of a [`MisuseGraph`], along which messages are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MisuseEdge {
    /// The node that sends messages.
    pub source: u32,
    /// The node that receives them.
    pub target: u32,
    /// The kind: below [`MisuseGraph::KINDS`].
    pub kind: u32,
    /// If it joins a child and its parent, the position of the child.
    pub position: Option<u32>,
}

/// A function as a graph for a model that finds a misused variable: its syntax tree without brackets, commas, keywords and
/// comments, its variables, and its *hypotheses*, each of which is a node: that one of the other candidates is meant in the
/// place of a load (Allamanis et al., "Learning to represent programs with graphs", 2018; all rewrites and that none is needed
/// as one choice: Allamanis et al., "Self-supervised bug detection and repair", 2021). The last node stands for no misuse.
///
/// Edges go in both directions, of different kinds:
///
/// | from | to |
/// | --- | --- |
/// | a child | its parent |
/// | a leaf | the following one |
/// | a variable where it stands | the next place where it does |
/// | a variable where it stands | the variable |
/// | a load | each hypothesis of it |
/// | a variable | each hypothesis that it is meant |
/// | the last place where a variable stands before a load | the hypothesis that it is meant there |
/// | the hypothesis that a variable is meant | the next place where it stands |
/// | a load | the node of no misuse |
///
/// What a node says is a set of *words*, hashes of its kind, its text and the parts of its name, at a load and a hypothesis of
/// what stands around it, how often the variable is read and bound in the function, and how near it is used again: names that no training data have are
/// words as well, and a model needs no vocabulary.
///
/// ```
/// use connectome_languages::code::{CodeGraph, MisuseGraph, Python};
///
/// let code = CodeGraph::new("def area(width, height):\n    return width * width\n", &Python)?;
/// let function = &code.functions(&Python)[0];
/// let graph = MisuseGraph::new(&code, function, &Python)?;
/// assert_eq!(graph.hypotheses().len(), 2, "that either load should be height");
/// assert!(graph.node_count() < code.graph().labels().len() + 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MisuseGraph {
    /// The words of all nodes, and where those of each node end.
    words: Vec<u32>,
    word_ends: Vec<u32>,
    edges: Vec<MisuseEdge>,
    hypotheses: Vec<Hypothesis>,
}

/// The relations of edges; the way back has the next kind.
const CHILD: u32 = 0;
const TOKEN: u32 = 2;
const NEXT_USE: u32 = 4;
const SYMBOL: u32 = 6;
const PLACE: u32 = 8;
const MEANT: u32 = 10;
const USED_BEFORE: u32 = 12;
const USED_AFTER: u32 = 14;
const NO_MISUSE: u32 = 16;

impl MisuseGraph {
    /// Number of kinds of edges.
    pub const KINDS: u32 = 18;
    /// Number of words.
    pub const WORDS: u32 = 8192;
    /// The most words of a node: its kind, its usage, its text, what stands around it, both together, how often and how near it
    /// is used, and the parts of its name.
    pub const MAX_WORDS: usize = 7 + MAX_PARTS;
    /// The most nodes of a graph.
    pub const MAX_NODES: usize = 4096;

    /// The graph of a function of a program.
    ///
    /// Costs `O(nodes + edges)` and a search for each hypothesis.
    ///
    /// # Errors
    /// If there is no hypothesis, or the graph would be too large; then little memory is taken.
    pub fn new(code: &CodeGraph, function: &Function, grammar: &dyn Grammar) -> Result<Self, MisuseError> {
        Self::without_names(code, function, grammar, &|_| false)
    }

    /// The same, where the words of some names are left out: so a model learns what to do with names that it does not know.
    ///
    /// # Errors
    /// Those of [`Self::new`].
    pub fn without_names(
        code: &CodeGraph,
        function: &Function,
        grammar: &dyn Grammar,
        is_hidden: &dyn Fn(&str) -> bool,
    ) -> Result<Self, MisuseError> {
        let inside = code.occurrences();
        let start = inside.partition_point(|one| one.node < function.node);
        let inside = &inside[start..inside.partition_point(|one| one.node < function.end)];
        let mut builder = Builder {
            code,
            function,
            graph: Self::default(),
            places: HashMap::new(),
            counts: HashMap::new(),
            is_hidden,
        };
        // Loads and candidates are few in what people write; their product is counted before it is made.
        let hypotheses = function.loads.len().saturating_mul(function.candidates.len().saturating_sub(1));
        let nodes = ((function.end - function.node) as usize).saturating_add(hypotheses);
        if nodes > Self::MAX_NODES {
            return Err(MisuseError::TooLarge { nodes });
        }
        if hypotheses == 0 {
            return Err(MisuseError::NoChoice);
        }
        let of_nodes: HashMap<u32, &Occurrence> = inside.iter().map(|one| (one.node, one)).collect();
        for one in inside {
            builder.counts.entry(builder.name(one)).or_default().add(one.usage);
        }
        builder.add_syntax(grammar, &of_nodes);
        builder.add_variables(inside);
        builder.add_hypotheses(inside, grammar);
        Ok(builder.graph)
    }

    /// Number of nodes.
    pub fn node_count(&self) -> usize {
        self.word_ends.len()
    }

    /// The words of a node: distinct numbers below [`Self::WORDS`].
    ///
    /// # Panics
    /// If there is no such node.
    #[track_caller]
    pub fn words(&self, node: usize) -> &[u32] {
        let start = node.checked_sub(1).map_or(0, |before| self.word_ends[before]);
        &self.words[start as usize..self.word_ends[node] as usize]
    }

    /// The edges.
    pub fn edges(&self) -> &[MisuseEdge] {
        &self.edges
    }

    /// The hypotheses, load by load; their nodes are the last but one, in this order.
    pub fn hypotheses(&self) -> &[Hypothesis] {
        &self.hypotheses
    }

    /// The node of the first hypothesis; the one after the last stands for no misuse.
    pub fn first_hypothesis(&self) -> usize {
        self.node_count().saturating_sub(self.hypotheses.len() + 1)
    }

    fn add_node(&mut self, words: &[(&str, &str)]) -> u32 {
        let start = self.words.len();
        for (kind, text) in words {
            let word = (xxh3_64(format!("{kind}\n{text}").as_bytes()) % u64::from(Self::WORDS)) as u32;
            if !self.words[start..].contains(&word) {
                self.words.push(word);
            }
        }
        self.word_ends.push(self.words.len() as u32);
        self.word_ends.len() as u32 - 1
    }

    fn connect(&mut self, [source, target]: [u32; 2], kind: u32, position: Option<u32>) {
        self.edges.push(MisuseEdge { source, target, kind, position });
        self.edges.push(MisuseEdge { source: target, target: source, kind: kind + 1, position });
    }
}

struct Builder<'a> {
    code: &'a CodeGraph,
    function: &'a Function,
    graph: MisuseGraph,
    /// The nodes by those of the code.
    places: HashMap<u32, u32>,
    /// How often each name is used.
    counts: HashMap<&'a str, Counts>,
    /// Whether the words of a name are left out.
    is_hidden: &'a dyn Fn(&str) -> bool,
}

impl<'a> Builder<'a> {
    fn name(&self, one: &Occurrence) -> &'a str {
        self.code.symbol(one.symbol).map_or("", |symbol| &symbol.name)
    }

    /// Adds the nodes of the syntax tree, and the edges of parents and tokens.
    fn add_syntax(&mut self, grammar: &dyn Grammar, of_nodes: &HashMap<u32, &Occurrence>) {
        let Self { code, function, graph, places, counts, is_hidden } = self;
        // Each node of the tree but the root has one, in the order of the nodes, before all other edges.
        let children = function.node as usize..function.end as usize - 1;
        let inside = code.graph().language_edges().get(children).unwrap_or_default();
        let label = |node: u32| code.graph().label(node).unwrap_or_default();
        places.insert(function.node, graph.add_node(&[("kind", label(function.node))]));
        let mut last_leaf = None;
        for edge in inside {
            let (node, is_leaf) = (edge.source, code.is_leaf(edge.source));
            let (kind, text) = label(node).split_once(' ').filter(|_| is_leaf).unwrap_or((label(node), ""));
            let is_sign = is_leaf && text.is_empty() && !grammar.has_operator(label(edge.target));
            if is_sign || code.meanings[node as usize] == Meaning::Comment {
                continue;
            }
            let (around, fit, count);
            let mut words = vec![("kind", kind)];
            let is_shown = !(grammar.is_identifier(kind) && is_hidden(text));
            if !text.is_empty() && is_shown {
                words.push(("text", text));
            }
            if let Some(one) = of_nodes.get(&node) {
                around = surroundings(code, edge, grammar);
                count = code
                    .symbol(one.symbol)
                    .and_then(|symbol| counts.get(&*symbol.name))
                    .copied()
                    .unwrap_or_default()
                    .text();
                fit = format!("{text} {around}");
                words.extend([("usage", usage_name(one.usage)), ("around", &around), ("count", &count)]);
                words.extend(is_shown.then_some(("fit", fit.as_str())));
            }
            if grammar.is_identifier(kind) && is_shown {
                words.extend(name_parts(text).map(|part| ("part", part)));
            }
            let place = graph.add_node(&words);
            places.insert(node, place);
            if let Some(parent) = places.get(&edge.target) {
                graph.connect([place, *parent], CHILD, Some(edge.position));
            }
            if is_leaf && let Some(last) = last_leaf.replace(place) {
                graph.connect([last, place], TOKEN, None);
            }
        }
    }

    /// Adds the variables that stand in the function, with edges between the places of one.
    fn add_variables(&mut self, inside: &[Occurrence]) {
        let Self { code, graph, places, counts, is_hidden, .. } = self;
        let mut last_places = HashMap::new();
        for one in inside {
            let (Some(symbol), Some(place)) = (code.symbol(one.symbol), places.get(&one.node).copied()) else {
                continue;
            };
            let node = *places.entry(one.symbol).or_insert_with(|| {
                let binding = if symbol.is_bound { "bound" } else { "free" };
                let count = counts.get(&*symbol.name).copied().unwrap_or_default().text();
                let mut words = vec![("kind", "symbol"), ("usage", binding), ("count", &count)];
                if !is_hidden(&symbol.name) {
                    words.push(("text", &symbol.name));
                    words.extend(name_parts(&symbol.name).map(|part| ("part", part)));
                }
                graph.add_node(&words)
            });
            graph.connect([place, node], SYMBOL, None);
            if let Some(last) = last_places.insert(node, place) {
                graph.connect([last, place], NEXT_USE, None);
            }
        }
    }

    /// Adds the hypotheses and the node of no misuse.
    fn add_hypotheses(&mut self, inside: &[Occurrence], grammar: &dyn Grammar) {
        let Self { code, function, graph, places, counts, is_hidden } = self;
        let edges = code.graph().language_edges();
        let ends = ends(edges, function);
        // Where each name stands, in order.
        let mut uses: HashMap<&str, Vec<&Occurrence>> = HashMap::new();
        let mut names = HashMap::new();
        for one in inside {
            let name = code.symbol(one.symbol).map_or("", |symbol| &symbol.name);
            uses.entry(name).or_default().push(one);
            names.insert(one.node, name);
        }
        for (load, node) in function.loads.iter().enumerate() {
            let (Some(place), read) = (places.get(node), names.get(node)) else { continue };
            let around = node.checked_sub(1).and_then(|edge| edges.get(edge as usize));
            let around = around.map_or(String::new(), |edge| surroundings(code, edge, grammar));
            let count_of = |name: &str| counts.get(name).copied().unwrap_or_default().text();
            let of_read = read.map_or(String::new(), |name| count_of(name));
            let expressions = expressions(edges, function, &ends, *node);
            let nearness = |name: &str| nearness(uses.get(name).map_or(&[], Vec::as_slice), *node, &expressions);
            let near_read = read.map_or(MAX_EXPRESSIONS, |name| nearness(name));
            for (candidate, name) in function.candidates.iter().enumerate() {
                if read == Some(&name.as_str()) {
                    continue;
                }
                let stands = uses.get(name.as_str()).map_or(&[][..], Vec::as_slice);
                let after = stands.partition_point(|other| other.node < *node);
                let before = after.checked_sub(1).and_then(|before| stands.get(before));
                let order = if before.is_some() { "used before" } else { "used after" };
                let count = format!("{of_read} for {}", count_of(name));
                let (fit, near) = (format!("{name} {around}"), format!("{near_read} for {}", nearness(name)));
                let mut words = vec![("kind", "hypothesis"), ("usage", order), ("around", &around)];
                words.extend([("count", count.as_str()), ("near", &near)]);
                if !is_hidden(name) {
                    words.extend([("text", name.as_str()), ("fit", &fit)]);
                    words.extend(name_parts(name).map(|part| ("part", part)));
                }
                let hypothesis = graph.add_node(&words);
                graph.connect([*place, hypothesis], PLACE, None);
                // Of several variables of one name the nearest is meant.
                if let Some(symbol) = before.or(stands.get(after)).and_then(|nearest| places.get(&nearest.symbol)) {
                    graph.connect([*symbol, hypothesis], MEANT, None);
                }
                if let Some(before) = before.and_then(|before| places.get(&before.node)) {
                    graph.connect([*before, hypothesis], USED_BEFORE, None);
                }
                if let Some(after) = stands.get(after).and_then(|after| places.get(&after.node)) {
                    graph.connect([hypothesis, *after], USED_AFTER, None);
                }
                graph.hypotheses.push(Hypothesis { load: load as u32, candidate: candidate as u32 });
            }
        }
        let none = graph.add_node(&[("kind", "no misuse")]);
        for place in function.loads.iter().filter_map(|load| places.get(load)) {
            graph.connect([*place, none], NO_MISUSE, None);
        }
    }
}
