//! What the nodes of a [`MisuseGraph`](super::MisuseGraph) say of the last binding of a variable: where it stands, and what is bound.

use super::{Occurrence, Usage, misuse_tree::Tree};
use crate::LanguageEdge;

/// The positions of children that are distinguished; later ones count as the last.
const MAX_POSITION: u32 = 5;

/// The last binding of a variable before a node, or else the first one after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Binding {
    /// What the binding and the node are both parts of, and in which of its parts they stand: so which of them is computed first.
    pub place: String,
    /// In what the variable is bound, and what follows it there, as a rule its value.
    pub value: String,
}

impl<'a> Tree<'a> {
    /// The binding for a node of a variable that stands in these places, in order. Costs `O(places + depth)`.
    pub fn binding(&self, stands: &[&Occurrence], node: u32) -> Binding {
        let after = stands.partition_point(|one| one.node < node);
        let binds = |one: &&&Occurrence| {
            matches!(one.usage, Usage::Store | Usage::Update | Usage::StoreInFunction) && one.node != node
        };
        let before = stands[..after].iter().rev().find(binds);
        let (order, Some(one)) =
            (if before.is_some() { "" } else { "later" }, before.or(stands[after..].iter().find(binds)))
        else {
            return Binding { place: "nowhere".to_owned(), value: String::new() };
        };
        Binding { place: format!("{order} {}", self.place(one.node, node)), value: self.value(one.node) }
    }

    fn place(&self, binding: u32, node: u32) -> String {
        // Nodes come before their parts, so one that begins before both and is around the last is around the first.
        let of_last = self.part(binding.max(node), binding.min(node));
        let of_first = of_last.and_then(|edge| self.part(binding.min(node), edge.target));
        let (Some(of_first), Some(of_last)) = (of_first, of_last) else { return String::new() };
        let [of_binding, of_node] = if binding < node { [of_first, of_last] } else { [of_last, of_first] };
        let position = |edge: &LanguageEdge| edge.position.min(MAX_POSITION);
        let (around, kind) = (self.label(of_node.target), self.kind_and_text(of_binding.source).0);
        format!("{around} {kind} {} {}", position(of_binding), position(of_node))
    }

    /// The part with a node in it of the first node around it that is not after `start`.
    fn part(&self, node: u32, start: u32) -> Option<&'a LanguageEdge> {
        let mut edge = self.edge(node)?;
        while edge.target > start {
            edge = self.edge(edge.target)?;
        }
        Some(edge)
    }

    fn value(&self, binding: u32) -> String {
        let Some(mut edge) = self.edge(binding) else { return String::new() };
        while self.grammar.binds_value(self.label(edge.target)).is_none() {
            let Some(outer) = self.edge(edge.target) else { break };
            edge = outer;
        }
        let (around, end) = (self.label(edge.target), self.end(edge.target));
        let mut next = self.end(edge.source);
        while next < end && self.is_silent(next) {
            next = self.end(next);
        }
        if next >= end {
            return around.to_owned();
        }
        // What is called comes before its arguments.
        let arguments = if next + 1 < self.end(next) { self.end(next + 1) } else { next };
        let is_call = arguments < self.end(next) && self.grammar.is_arguments(self.label(arguments));
        let called = if is_call { self.label(next + 1) } else { "" };
        format!("{around} {} {called}", self.kind_and_text(next).0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{CodeGraph, Python};
    use super::*;

    /// Place and value of the last binding for each load of a function.
    fn bindings(source: &str) -> Vec<[String; 2]> {
        let code = CodeGraph::new(source, &Python).unwrap();
        let function = &code.functions(&Python)[0];
        let tree = Tree::new(&code, function, &Python);
        let name = |node: u32| code.graph().label(node).unwrap_or_default();
        let of_load = |load: &u32| {
            let stands: Vec<&Occurrence> =
                code.occurrences().iter().filter(|one| name(one.node) == name(*load)).collect();
            let Binding { place, value } = tree.binding(&stands, *load);
            [place, value]
        };
        function.loads.iter().map(of_load).collect()
    }

    #[test]
    fn what_is_bound_by_the_statement_itself_differs_from_what_was_bound_before() {
        let source = "def f(s):\n    for i in range(len(s)):\n        s = g(i)\n    return s";
        let [of_range, of_i, of_return] = &bindings(source)[..] else { panic!() };
        assert!(of_range[0].contains("function_definition parameters"), "{of_range:?}");
        assert_eq!(
            of_i.each_ref().map(|text| &**text),
            [" for_statement identifier 1 5", "for_statement call identifier range"]
        );
        assert_eq!(of_return[1], "assignment call identifier g");
        let wrong = &bindings(&source.replace("len(s)", "len(i)"))[0];
        assert_eq!(wrong[0], " for_statement identifier 1 3", "it is read before it is bound");
        assert_eq!(wrong[1], of_i[1]);
    }

    #[test]
    fn what_is_bound_later_or_nowhere_is_told() {
        let loads = bindings("def f(a):\n    b = [c + a for c in a]\n    return b");
        assert_eq!(loads[0][0], "later list_comprehension for_in_clause 2 1");
        assert_eq!(loads[0][1], "for_in_clause identifier ");
        assert_eq!(loads[3][1], "assignment list_comprehension ");
    }
}
