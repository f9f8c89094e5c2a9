//! What a model makes of graphs that are to be rewritten.

use bevy_ecs::world::World;
use std::mem;

use super::{TrainError, Trainer, corpus::Examples};
use crate::components::{Model, Optimizer, Split};
use crate::data::{RewriteData, SlotCoding};
use crate::languages::{
    OrderedDag,
    rewriting::{InvalidRewrite, Slot, tree_edit_distance},
};
use crate::output::Measures;
use crate::systems::{Evaluate, Infer, batch::Batch};

/// What a model makes of a graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Rewritten {
    /// The number of the graph among the pairs.
    pub graph: usize,
    /// The result, or why the slots stand for none.
    pub result: Result<OrderedDag, InvalidRewrite>,
}

/// How good rewrites are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RewriteScore {
    /// Number of graphs.
    pub graphs: usize,
    /// How many of them became exactly the target.
    pub exact: usize,
    /// How many results are invalid.
    pub invalid: usize,
    /// By how many edits of nodes all wrong results differ from their targets; see [`tree_edit_distance`].
    pub edits: u64,
    /// For how many of them that is only a bound, because they are too large.
    pub bounds: usize,
    /// How many labels of slots are right, and of how many.
    pub labels: [usize; 2],
    /// How many addresses are right, and of how many.
    pub addresses: [usize; 2],
}

impl RewriteScore {
    /// Its fractions and the mean edit distance of wrong results, by the names of metrics; none without terms.
    pub fn values(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let fraction = |part: usize, of: usize| (of > 0).then(|| part as f64 / of as f64);
        let wrong = self.graphs - self.exact - self.invalid;
        let name = if self.bounds > 0 { "edit_distance_bound" } else { "edit_distance" };
        let values = [
            ("exact_match", fraction(self.exact, self.graphs)),
            ("invalid", fraction(self.invalid, self.graphs)),
            ("label_accuracy", fraction(self.labels[0], self.labels[1])),
            ("address_accuracy", fraction(self.addresses[0], self.addresses[1])),
            (name, (wrong > 0).then(|| self.edits as f64 / wrong as f64)),
        ];
        values.into_iter().filter_map(|(name, value)| Some((name, value?)))
    }

    /// Counts the right labels and addresses of a node: those whose likeliest candidate is right.
    fn count(&mut self, coding: &SlotCoding, outputs: &[f32], targets: &[f32]) {
        let per_slot = coding.arity as usize + 1;
        for (group, range) in coding.groups().ranges().enumerate() {
            let candidates =
                || outputs[range.clone()].iter().zip(&targets[range.clone()]).filter(|(_, target)| **target >= 0.0);
            let largest = candidates().fold(f32::NEG_INFINITY, |largest, (output, _)| largest.max(*output));
            let [right, total] = if group % per_slot == 0 { &mut self.labels } else { &mut self.addresses };
            if candidates().any(|(_, target)| *target > 0.0) {
                *total += 1;
                *right += usize::from(candidates().any(|(output, target)| *target > 0.0 && *output == largest));
            }
        }
    }
}

impl Trainer {
    /// What the model makes of the graphs of some splits, in their order, and how good it is.
    ///
    /// # Errors
    /// If the schedules were taken out of the world.
    pub fn rewrite(&mut self, splits: &[Split]) -> Result<(Vec<Rewritten>, RewriteScore), TrainError> {
        let (Some(data), Some(corpus)) = (self.rewriting.clone(), &mut self.corpus) else {
            return Ok((Vec::new(), RewriteScore::default()));
        };
        let (model, numbers) = (self.entities.model, corpus.numbers(false));
        let places = places(&data);
        let slots = data.coding.layout.slots as usize;
        let (mut results, mut score): (Vec<Rewritten>, _) = (Vec::new(), RewriteScore::default());
        // The slots of a graph, whose nodes follow each other, and how many of them are known.
        let (mut known, mut nodes) = (Vec::new(), 0);
        let show = |world: &World, batch: &Batch, _| {
            let Some(head) = world.get::<Model>(model).and_then(|model| model.heads.first()) else { return };
            let output = head.output.matrix(world);
            let targets = head.targets.map(|targets| targets.matrix(world));
            for (row, (outputs, entity)) in output.rows().zip(batch.nodes()).enumerate() {
                let Some((graph, node)) = numbers.get(entity).and_then(|number| places.get(*number as usize)) else {
                    continue;
                };
                if let Some(targets) = &targets {
                    score.count(&data.coding, outputs, targets.row(row));
                }
                let source = &data.pairs[*graph].source;
                known.resize(source.len() * slots, Slot::default());
                let read = data.coding.read(outputs, source.children(*node).len());
                known[*node as usize * slots..].iter_mut().zip(read).for_each(|(slot, read)| *slot = read);
                nodes += 1;
                if nodes == source.len() {
                    let result = data.decode(*graph, mem::take(&mut known));
                    results.push(Rewritten { graph: *graph, result });
                    nodes = 0;
                }
            }
        };
        let (world, graph) = (&mut self.world, self.entities.graph);
        match world.get::<Optimizer>(model) {
            Some(_) => corpus.pass(world, graph, Evaluate(model), Examples::Of(splits), |_, _| {}, show)?,
            None => corpus.pass(world, graph, Infer(model), Examples::Of(splits), |_, _| {}, show)?,
        }
        for Rewritten { graph, result } in &results {
            score.graphs += 1;
            let target = &data.pairs[*graph].target;
            match result {
                Ok(result) if *result == target.shared() => score.exact += 1,
                Ok(result) => {
                    let distance = tree_edit_distance(result, target);
                    score.edits = score.edits.saturating_add(distance.edits);
                    score.bounds += usize::from(distance.is_bound);
                }
                Err(_) => score.invalid += 1,
            }
        }
        Ok((results, score))
    }

    /// Adds how good the rewrites of validation and test are.
    pub(super) fn measure_rewrites(&mut self, metrics: &mut Measures) -> Result<(), TrainError> {
        for split in [Split::Validation, Split::Test] {
            let (_, score) = self.rewrite(&[split])?;
            score.values().for_each(|(name, value)| metrics.set(split, name, value));
        }
        Ok(())
    }
}

/// The graph and the node of each number of a node.
fn places(data: &RewriteData) -> Vec<(usize, u32)> {
    let pairs = data.pairs.iter().enumerate();
    pairs.flat_map(|(graph, pair)| pair.source.nodes().map(move |node| (graph, node))).collect()
}
