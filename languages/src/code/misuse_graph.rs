//! Functions as graphs in which a misused variable can be found.

use std::{borrow::Cow, collections::HashMap};

use xxhash_rust::xxh3::xxh3_64;

use super::{
    CodeGraph, Function, Grammar, MisuseError, Occurrence, Usage,
    misuse_repeats::Repeats,
    misuse_tree::{MAX_EXPRESSIONS, Tree},
    misuse_words::{Counts, MAX_PARTS, name_parts, nearness, usage_name},
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
/// What a node says is a set of *words*, hashes of its kind, its text and the parts of its name, at a load and a hypothesis also of
/// what stands around it, how often the variable is read and bound in the function, how near it is used again, where it was bound
/// last and to what, and how many of the expressions around it stand elsewhere as well: names that no training data have are words
/// as well, and a model needs no vocabulary.
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
    /// is used, the expressions that stand elsewhere, where and to what it was bound, this and what stands around it together, and
    /// the parts of its name.
    pub const MAX_WORDS: usize = 11 + MAX_PARTS;
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
        // Loads and candidates are few in what people write; their product is counted before it is made.
        let hypotheses = function.loads.len().saturating_mul(function.candidates.len().saturating_sub(1));
        let nodes = ((function.end - function.node) as usize).saturating_add(hypotheses);
        if nodes > Self::MAX_NODES {
            return Err(MisuseError::TooLarge { nodes });
        }
        if hypotheses == 0 {
            return Err(MisuseError::NoChoice);
        }
        let inside = code.occurrences();
        let start = inside.partition_point(|one| one.node < function.node);
        let inside = &inside[start..inside.partition_point(|one| one.node < function.end)];
        let tree = Tree::new(code, function, grammar);
        let mut builder = Builder {
            graph: Self::default(),
            places: HashMap::new(),
            counts: HashMap::new(),
            uses: HashMap::new(),
            repeats: Repeats::new(&tree),
            tree,
            is_hidden,
        };
        let of_nodes: HashMap<u32, &Occurrence> = inside.iter().map(|one| (one.node, one)).collect();
        for one in inside {
            builder.counts.entry(builder.name(one)).or_default().add(one.usage);
            builder.uses.entry(builder.name(one)).or_default().push(one);
        }
        builder.add_syntax(&of_nodes);
        builder.add_variables(inside);
        builder.add_hypotheses(inside);
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

    fn add_node(&mut self, words: &[Word]) -> u32 {
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

/// What a word is about, and its text.
type Word<'a> = (&'static str, Cow<'a, str>);

struct Builder<'a> {
    graph: MisuseGraph,
    /// The nodes by those of the code.
    places: HashMap<u32, u32>,
    /// How often each name is used.
    counts: HashMap<&'a str, Counts>,
    /// Where each name stands, in order.
    uses: HashMap<&'a str, Vec<&'a Occurrence>>,
    tree: Tree<'a>,
    repeats: Repeats,
    /// Whether the words of a name are left out.
    is_hidden: &'a dyn Fn(&str) -> bool,
}

impl<'a> Builder<'a> {
    fn name(&self, one: &Occurrence) -> &'a str {
        self.tree.code.symbol(one.symbol).map_or("", |symbol| &symbol.name)
    }

    fn uses(&self, name: &str) -> &[&'a Occurrence] {
        self.uses.get(name).map_or(&[], Vec::as_slice)
    }

    fn count(&self, name: &str) -> String {
        self.counts.get(name).copied().unwrap_or_default().text()
    }

    /// How the variable of a name was bound before a load.
    fn words_of_binding(&self, name: &str, load: u32, around: &str) -> [Word<'static>; 3] {
        let binding = self.tree.binding(self.uses(name), load);
        let fit = format!("{} {around}", binding.value);
        [("place", binding.place), ("value", binding.value), ("value fit", fit)].map(|(kind, text)| (kind, text.into()))
    }

    /// Adds the nodes of the syntax tree, and the edges of parents and tokens.
    fn add_syntax(&mut self, of_nodes: &HashMap<u32, &Occurrence>) {
        let function = self.tree.function;
        let root = self.graph.add_node(&[("kind", self.tree.label(function.node).into())]);
        self.places.insert(function.node, root);
        let mut last_leaf = None;
        for node in function.node + 1..function.end {
            let Some(edge) = self.tree.edge(node).filter(|_| !self.tree.is_silent(node)) else { continue };
            let words = self.words_of_syntax(node, of_nodes.get(&node).copied());
            let place = self.graph.add_node(&words);
            self.places.insert(node, place);
            if let Some(parent) = self.places.get(&edge.target) {
                self.graph.connect([place, *parent], CHILD, Some(edge.position));
            }
            if self.tree.code.is_leaf(node)
                && let Some(last) = last_leaf.replace(place)
            {
                self.graph.connect([last, place], TOKEN, None);
            }
        }
    }

    /// The words of a node of the syntax tree, which may be a variable.
    fn words_of_syntax(&self, node: u32, variable: Option<&Occurrence>) -> Vec<Word<'a>> {
        let (kind, text) = self.tree.kind_and_text(node);
        let is_name = self.tree.grammar.is_identifier(kind);
        let is_shown = !(is_name && (self.is_hidden)(text));
        let mut words: Vec<Word> = vec![("kind", kind.into())];
        if !text.is_empty() && is_shown {
            words.push(("text", text.into()));
        }
        if let Some(one) = variable {
            let (name, around) = (self.name(one), self.tree.surroundings(node));
            let fit = is_shown.then(|| ("fit", format!("{text} {around}").into()));
            words.extend([("usage", usage_name(one.usage).into()), ("around", around.clone().into())]);
            words.push(("count", self.count(name).into()));
            if one.usage == Usage::Load {
                let repeats = self.repeats.levels(&self.tree, node, self.tree.label(node));
                words.push(("repeats", repeats.to_string().into()));
                words.extend(self.words_of_binding(name, node, &around));
            }
            words.extend(fit);
        }
        if is_name && is_shown {
            words.extend(name_parts(text).map(|part| ("part", part.into())));
        }
        words
    }

    /// Adds the variables that stand in the function, with edges between the places of one.
    fn add_variables(&mut self, inside: &[Occurrence]) {
        let mut last_places = HashMap::new();
        for one in inside {
            let (Some(symbol), Some(place)) = (self.tree.code.symbol(one.symbol), self.places.get(&one.node).copied())
            else {
                continue;
            };
            let node = match self.places.get(&one.symbol) {
                Some(node) => *node,
                None => {
                    let binding = if symbol.is_bound { "bound" } else { "free" };
                    let mut words: Vec<Word> = vec![("kind", "symbol".into()), ("usage", binding.into())];
                    words.push(("count", self.count(&symbol.name).into()));
                    if !(self.is_hidden)(&symbol.name) {
                        words.push(("text", (&*symbol.name).into()));
                        words.extend(name_parts(&symbol.name).map(|part| ("part", part.into())));
                    }
                    let node = self.graph.add_node(&words);
                    self.places.insert(one.symbol, node);
                    node
                }
            };
            self.graph.connect([place, node], SYMBOL, None);
            if let Some(last) = last_places.insert(node, place) {
                self.graph.connect([last, place], NEXT_USE, None);
            }
        }
    }

    /// Adds the hypotheses and the node of no misuse.
    fn add_hypotheses(&mut self, inside: &[Occurrence]) {
        let names: HashMap<u32, &str> = inside.iter().map(|one| (one.node, self.name(one))).collect();
        let function = self.tree.function;
        for (load, node) in function.loads.iter().enumerate() {
            let (Some(place), read) = (self.places.get(node).copied(), names.get(node).copied()) else { continue };
            let (around, (kind, _)) = (self.tree.surroundings(*node), self.tree.kind_and_text(*node));
            let expressions = self.tree.expressions(*node);
            let near = |name: &str| nearness(self.uses(name), *node, &expressions);
            let repeats = |label: &str| self.repeats.levels(&self.tree, *node, label);
            let of_read = read.map_or(String::new(), |name| self.count(name));
            let near_read = read.map_or(MAX_EXPRESSIONS, near);
            let repeats_read = repeats(self.tree.label(*node));
            let words_of = |name: &'a str, order: &'static str| {
                let mut words: Vec<Word> = vec![("kind", "hypothesis".into()), ("usage", order.into())];
                words.push(("around", around.clone().into()));
                words.push(("count", format!("{of_read} for {}", self.count(name)).into()));
                words.push(("near", format!("{near_read} for {}", near(name)).into()));
                words.push(("repeats", format!("{repeats_read} for {}", repeats(&format!("{kind} {name}"))).into()));
                words.extend(self.words_of_binding(name, *node, &around));
                if !(self.is_hidden)(name) {
                    words.extend([("text", name.into()), ("fit", format!("{name} {around}").into())]);
                    words.extend(name_parts(name).map(|part| ("part", part.into())));
                }
                words
            };
            let mut others = Vec::new();
            for (candidate, name) in function.candidates.iter().enumerate() {
                if read == Some(name.as_str()) {
                    continue;
                }
                let stands = self.uses(name);
                let after = stands.partition_point(|other| other.node < *node);
                let before = after.checked_sub(1).and_then(|before| stands.get(before)).copied();
                let after = stands.get(after).copied();
                let order = if before.is_some() { "used before" } else { "used after" };
                others.push((candidate as u32, words_of(name, order), before, after));
            }
            for (candidate, words, before, after) in others {
                let hypothesis = self.graph.add_node(&words);
                self.graph.connect([place, hypothesis], PLACE, None);
                let place_of = |node: u32| self.places.get(&node).copied();
                // Of several variables of one name the nearest is meant.
                if let Some(symbol) = before.or(after).and_then(|nearest| place_of(nearest.symbol)) {
                    self.graph.connect([symbol, hypothesis], MEANT, None);
                }
                if let Some(before) = before.and_then(|before| place_of(before.node)) {
                    self.graph.connect([before, hypothesis], USED_BEFORE, None);
                }
                if let Some(after) = after.and_then(|after| place_of(after.node)) {
                    self.graph.connect([hypothesis, after], USED_AFTER, None);
                }
                self.graph.hypotheses.push(Hypothesis { load: load as u32, candidate });
            }
        }
        let none = self.graph.add_node(&[("kind", "no misuse".into())]);
        for place in function.loads.iter().filter_map(|load| self.places.get(load)) {
            self.graph.connect([*place, none], NO_MISUSE, None);
        }
    }
}
