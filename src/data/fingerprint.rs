//! Hashes of graphs.

use connectome_components::Split;
use xxhash_rust::xxh3::Xxh3;

use super::{
    DenseRows, EdgeLabels, Features, GraphData, GraphKinds, GraphSet, NodesOfKind, RelationEdges, RewriteLanguage,
    RewritePair,
};

impl GraphData {
    /// A hash of all that is in the graph, in hexadecimal digits: graphs of other numbers have another one, for all practical
    /// purposes. It is XXH3 of 128 bits, which no key protects.
    pub fn fingerprint(&self) -> String {
        // By name, so that whoever adds a field adds it here.
        let Self {
            nodes,
            features,
            labels,
            splits,
            alternative_splits,
            classes,
            class_names,
            edges,
            weights,
            edge_features,
            edge_labels,
            targets,
            names,
            graphs,
            kinds,
            rewriting,
            misuse,
        } = self;
        let mut hash = Hash(Xxh3::new());
        hash.count(*nodes);
        match features {
            Features::Dense { width, values } => {
                hash.count(0);
                hash.rows(*width, values);
            }
            Features::Sparse { width, offsets, indices, values } => {
                hash.count(1);
                hash.counts(offsets);
                hash.numbers(indices);
                hash.rows(*width, values);
            }
        }
        hash.numbers(labels);
        hash.splits(splits);
        hash.count(alternative_splits.len());
        alternative_splits.iter().for_each(|splits| hash.splits(splits));
        hash.count(*classes);
        hash.count(class_names.len());
        class_names.iter().for_each(|name| hash.bytes(name.as_bytes()));
        hash.count(edges.len());
        edges.iter().flatten().for_each(|end| hash.0.update(&end.to_le_bytes()));
        hash.option(weights.as_ref(), |hash, weights| hash.rows(1, weights));
        hash.option(edge_features.as_ref(), Hash::dense);
        hash.option(edge_labels.as_ref(), |hash, EdgeLabels { labels, classes, targets, splits }| {
            hash.numbers(labels);
            hash.count(*classes);
            hash.option(targets.as_ref(), Hash::dense);
            hash.splits(splits);
        });
        hash.option(targets.as_ref(), Hash::dense);
        hash.count(names.len());
        names.iter().for_each(|name| hash.bytes(name.as_bytes()));
        hash.option(graphs.as_ref(), |hash, set| {
            let GraphSet { node_offsets, edge_offsets, labels, classes, splits, folds, targets } = set;
            hash.counts(node_offsets);
            hash.counts(edge_offsets);
            hash.numbers(labels);
            hash.count(*classes);
            hash.splits(splits);
            hash.option(folds.as_ref(), |hash, folds| hash.bytes(folds));
            hash.option(targets.as_ref(), Hash::dense);
        });
        if let Some(kinds) = kinds {
            let GraphKinds { own, others, relations } = &**kinds;
            hash.bytes(own.as_bytes());
            hash.count(others.len());
            for NodesOfKind { name, nodes } in others {
                hash.bytes(name.as_bytes());
                hash.bytes(nodes.fingerprint().as_bytes());
            }
            hash.count(relations.len());
            relations.iter().for_each(|relation| hash.relation(relation));
        }
        if let Some(rewriting) = rewriting {
            match &rewriting.language {
                RewriteLanguage::Terms { terms, .. } => {
                    terms.operations().iter().for_each(|label| hash.bytes(label.to_string().as_bytes()));
                }
                RewriteLanguage::Words { alphabet, tags } => {
                    hash.bytes(alphabet.characters().as_bytes());
                    tags.names().for_each(|tag| hash.bytes(tag.as_bytes()));
                }
            }
            // Tags are features of the nodes.
            for RewritePair { source, target, tags: _ } in &rewriting.pairs {
                for dag in [source, target] {
                    hash.numbers(dag.labels());
                    dag.nodes().for_each(|node| hash.numbers(dag.children(node)));
                }
            }
        }
        if let Some(misuse) = misuse {
            // What is measured is in the graphs.
            hash.bytes(&misuse.source.fingerprint().to_le_bytes());
        }
        format!("{:032x}", hash.0.digest128())
    }
}

/// A hash that lengths are a part of, so that no list ends where another one might begin.
struct Hash(Xxh3);

impl Hash {
    fn count(&mut self, count: usize) {
        self.0.update(&(count as u64).to_le_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.count(bytes.len());
        self.0.update(bytes);
    }

    fn counts(&mut self, counts: &[usize]) {
        self.count(counts.len());
        counts.iter().for_each(|count| self.count(*count));
    }

    fn numbers(&mut self, numbers: &[u32]) {
        self.count(numbers.len());
        numbers.iter().for_each(|number| self.0.update(&number.to_le_bytes()));
    }

    fn rows(&mut self, width: usize, values: &[f32]) {
        self.count(width);
        self.count(values.len());
        values.iter().for_each(|value| self.0.update(&value.to_le_bytes()));
    }

    fn relation(&mut self, relation: &RelationEdges) {
        let RelationEdges { name, ends, reverse, edges, weights, features } = relation;
        self.bytes(name.as_bytes());
        self.counts(ends);
        self.option(reverse.as_ref(), |hash, reverse| hash.bytes(reverse.as_bytes()));
        self.count(edges.len());
        edges.iter().flatten().for_each(|end| self.0.update(&end.to_le_bytes()));
        self.option(weights.as_ref(), |hash, weights| hash.rows(1, weights));
        self.option(features.as_ref(), Self::dense);
    }

    fn dense(&mut self, DenseRows { width, values }: &DenseRows) {
        self.rows(*width, values);
    }

    fn splits(&mut self, splits: &[Split]) {
        self.count(splits.len());
        splits.iter().for_each(|split| self.0.update(&[*split as u8]));
    }

    fn option<T>(&mut self, value: Option<&T>, add: impl FnOnce(&mut Self, &T)) {
        self.count(usize::from(value.is_some()));
        if let Some(value) = value {
            add(self, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{EpochGraphs, MisuseData, RewriteData, SlotCoding};
    use connectome_languages::{OrderedDag, mathematics::Terms, rewriting::SlotLayout};
    use std::sync::Arc;

    fn rewriting() -> RewriteData {
        let mut terms = Terms::default();
        let [source, target] = ["x + 0", "x"].map(|text| {
            let term = terms.read_infix(text).unwrap();
            terms.dag(term)
        });
        let language = RewriteLanguage::Terms { terms, variable: None };
        let layout = SlotLayout { slots: 1, roles: 1, result: 0, parts: 1 };
        let coding = SlotCoding { layout, labels: 3, arity: 2, candidates: 5 };
        RewriteData { language, coding, pairs: vec![RewritePair { source, target, tags: Vec::new() }] }
    }

    /// Graphs that are drawn from something with this hash.
    #[derive(Debug)]
    struct Drawn(u128);

    impl EpochGraphs for Drawn {
        fn graphs(&self, _: u64, _: u64) -> GraphData {
            GraphData::default()
        }

        fn fingerprint(&self) -> u128 {
            self.0
        }
    }

    fn kinds() -> Option<Box<GraphKinds>> {
        let nodes = GraphData { nodes: 1, ..GraphData::default() };
        let relation = RelationEdges { edges: vec![[0, 1], [0, 0]], ..RelationEdges::default() };
        let others = vec![NodesOfKind { name: "other".to_owned(), nodes }];
        Some(Box::new(GraphKinds { own: "own".to_owned(), others, relations: vec![relation] }))
    }

    fn misuse(hash: u128) -> Option<Arc<MisuseData>> {
        Some(Arc::new(MisuseData { measured: Vec::new(), source: Arc::new(Drawn(hash)) }))
    }

    #[test]
    fn every_part_of_a_graph_counts() {
        let rows = |value: f32| Some(DenseRows { width: 1, values: vec![value; 2] });
        let graph = GraphData {
            nodes: 2,
            features: Features::Dense { width: 1, values: vec![0.5, 1.0] },
            labels: vec![0, 1],
            splits: vec![Split::Train, Split::Test],
            alternative_splits: vec![vec![Split::Train, Split::Test]],
            classes: 2,
            class_names: vec!["a".to_owned(), "b".to_owned()],
            edges: vec![[0, 1], [1, 0]],
            weights: Some(vec![1.0, 2.0]),
            edge_features: rows(1.0),
            edge_labels: Some(EdgeLabels { labels: vec![0, 1], classes: 2, ..EdgeLabels::default() }),
            targets: rows(2.0),
            names: vec!["a".to_owned(), "b".to_owned()],
            graphs: Some(GraphSet { labels: vec![0], classes: 1, ..GraphSet::default() }),
            kinds: kinds(),
            rewriting: Some(Arc::new(rewriting())),
            misuse: misuse(1),
        };
        type Change = fn(&mut GraphData);
        let changes: [Change; 31] = [
            |_| {},
            |graph| graph.nodes = 3,
            |graph| graph.features = Features::Dense { width: 1, values: vec![0.5, -1.0] },
            |graph| graph.features = Features::identity(2),
            |graph| graph.labels[1] = 0,
            |graph| graph.splits.swap(0, 1),
            |graph| graph.alternative_splits[0].swap(0, 1),
            |graph| graph.classes = 3,
            |graph| graph.class_names.swap(0, 1),
            |graph| graph.edges.swap(0, 1),
            |graph| graph.weights = None,
            |graph| graph.edge_features = None,
            |graph| graph.edge_labels.as_mut().unwrap().labels[0] = 1,
            |graph| graph.targets.as_mut().unwrap().values[0] = 1.0,
            |graph| graph.names = vec!["ab".to_owned(), String::new()],
            |graph| graph.graphs = None,
            |graph| graph.graphs.as_mut().unwrap().folds = Some(vec![0]),
            |graph| graph.kinds = None,
            |graph| graph.kinds.as_mut().unwrap().own.push('s'),
            |graph| graph.kinds.as_mut().unwrap().others[0].name.push('s'),
            |graph| graph.kinds.as_mut().unwrap().others[0].nodes.nodes = 2,
            |graph| graph.kinds.as_mut().unwrap().relations[0].name.push('s'),
            |graph| graph.kinds.as_mut().unwrap().relations[0].ends = [1, 0],
            |graph| graph.kinds.as_mut().unwrap().relations[0].reverse = Some(String::new()),
            |graph| graph.kinds.as_mut().unwrap().relations[0].edges.swap(0, 1),
            |graph| graph.kinds.as_mut().unwrap().relations[0].weights = Some(vec![1.0, 2.0]),
            |graph| {
                let rows = Some(DenseRows { width: 1, values: vec![0.0; 2] });
                graph.kinds.as_mut().unwrap().relations[0].features = rows;
            },
            |graph| graph.misuse = None,
            |graph| graph.misuse = misuse(2),
            |graph| graph.rewriting = None,
            |graph| {
                let mut other = rewriting();
                other.pairs[0].target = OrderedDag::default();
                graph.rewriting = Some(Arc::new(other));
            },
        ];
        let hashes: Vec<String> = changes
            .iter()
            .map(|change| {
                let mut changed = graph.clone();
                change(&mut changed);
                changed.fingerprint()
            })
            .collect();
        for (number, hash) in hashes.iter().enumerate() {
            assert!(!hashes[..number].contains(hash), "change {number} is not seen");
        }
    }
}
