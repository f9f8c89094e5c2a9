//! Terms as graphs of any language.

use super::{Term, Terms};
use crate::{LanguageGraph, Relation};

/// The relation of graphs of terms: from an operand to what it is an operand of.
const OPERAND: [Relation; 1] = [Relation::ordered("operand")];

impl Terms {
    /// The graph of a term: an edge from each operand to what it is an operand of, with its position; equal subterms are
    /// one node. Labels are words of prefix notation.
    ///
    /// ```
    /// use connectome_languages::{LanguageEdge, mathematics::Terms};
    ///
    /// let mut terms = Terms::default();
    /// let term = terms.read_infix("sin(x) - f(sin(x), 2)")?;
    /// let graph = terms.graph(term);
    /// let labels = graph.labels().iter().map(|label| graph.vocabulary().name(*label));
    /// assert_eq!(labels.flatten().collect::<Vec<_>>(), ["x", "sin", "2", "f/2", "sub"]);
    /// let edge = |source, target, position| LanguageEdge { source, target, relation: 0, position };
    /// assert_eq!(graph.language_edges(), [edge(0, 1, 0), edge(1, 3, 0), edge(2, 3, 1), edge(1, 4, 0), edge(3, 4, 1)]);
    /// # Ok::<(), connectome_languages::mathematics::SyntaxError>(())
    /// ```
    ///
    /// # Panics
    /// If it is none of these terms.
    #[track_caller]
    pub fn graph(&self, term: Term) -> LanguageGraph {
        let dag = self.dag(term);
        let mut graph = LanguageGraph::new(&OPERAND);
        for node in dag.nodes() {
            graph.add_node(&self.operations()[dag.label(node) as usize].to_string(), None);
            for (child, position) in dag.children(node).iter().zip(0..) {
                graph.connect([*child, node], 0, position);
            }
        }
        graph
    }
}
