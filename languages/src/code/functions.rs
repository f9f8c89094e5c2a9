//! The functions of a program, and the variables that each of them may confuse.

use std::collections::{HashMap, HashSet};

use super::{CodeGraph, Grammar, Usage};

/// A function of a program with its variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Function {
    /// The node of its definition; those of its parts follow it.
    pub node: u32,
    /// The node after the last of its parts.
    pub end: u32,
    /// The nodes where one of its variables is read, in order.
    pub loads: Vec<u32>,
    /// Its variables: the parameters and names that are assigned to in it, also in functions within, in the order in which
    /// they come first.
    pub candidates: Vec<String>,
}

impl CodeGraph {
    /// The node that each node of the syntax tree is a child of; none for the root.
    pub(super) fn parents(&self) -> Vec<Option<u32>> {
        let mut parents = vec![None; self.meanings.len()];
        let children = self.graph().language_edges().iter().filter(|edge| edge.relation == Self::CHILD);
        children.for_each(|edge| parents[edge.source as usize] = Some(edge.target));
        parents
    }

    /// The functions that are in no other function, in order.
    ///
    /// ```
    /// use connectome_languages::code::{CodeGraph, Python};
    ///
    /// let code = CodeGraph::new("class A:\n  def f(self, b):\n    c = len(b)\n    return [d for d in c]", &Python)?;
    /// let [f] = &code.functions(&Python)[..] else { unreachable!() };
    /// assert_eq!(f.candidates, ["self", "b", "c", "d"]);
    /// let labels = f.loads.iter().filter_map(|load| code.graph().label(*load));
    /// assert_eq!(labels.collect::<Vec<_>>(), ["identifier b", "identifier d", "identifier c"]);
    /// # Ok::<(), connectome_languages::code::CodeError>(())
    /// ```
    pub fn functions(&self, grammar: &dyn Grammar) -> Vec<Function> {
        let parents = self.parents();
        let kind = |node: u32| self.graph().label(node).unwrap_or_default();
        let mut functions: Vec<Function> = Vec::new();
        for node in 0..parents.len() as u32 {
            let is_inside = functions.last().is_some_and(|function| node < function.end);
            if is_inside || !grammar.is_function(kind(node)) {
                continue;
            }
            let parts = parents[node as usize + 1..].iter().take_while(|parent| parent.is_some_and(|one| one >= node));
            let end = node + 1 + parts.count() as u32;
            functions.push(Function { node, end, loads: Vec::new(), candidates: Vec::new() });
        }
        let names: HashMap<u32, &str> = self.symbols().iter().map(|one| (one.node, one.name.as_str())).collect();
        // Whether names that are bound below a node hold values; parents come before children.
        let mut holds_value = vec![false; parents.len()];
        for (node, parent) in parents.iter().enumerate() {
            let Some(parent) = *parent else { continue };
            holds_value[node] = grammar.binds_value(kind(parent)).unwrap_or(holds_value[parent as usize]);
        }
        let occurrences = self.occurrences();
        for function in &mut functions {
            let start = occurrences.partition_point(|one| one.node < function.node);
            let end = occurrences.partition_point(|one| one.node < function.end);
            let (inside, mut known) = (&occurrences[start..end], HashSet::new());
            for one in inside {
                let is_bound = matches!(one.usage, Usage::Store | Usage::Update | Usage::StoreInFunction);
                let name = names.get(&one.symbol).copied().unwrap_or_default();
                if is_bound && !known.contains(name) && holds_value[one.node as usize] {
                    known.insert(name);
                    function.candidates.push(name.to_owned());
                }
            }
            let is_load = |name: &str, usage| usage == Usage::Load && known.contains(name);
            let loads = inside.iter().filter(|one| names.get(&one.symbol).is_some_and(|name| is_load(name, one.usage)));
            function.loads = loads.map(|one| one.node).collect();
        }
        functions
    }
}
