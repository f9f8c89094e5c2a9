//! The weights of attention as a value, for pictures and explanations.

use connectome_components::Topology;

use super::specification::AttentionSpec;
use crate::{
    error::BuildError,
    kernels::{Link, Tile},
    operators::relation::Relation,
    program::{Cost, Footprint, Operator, Partition, Program, Shape, Step, Value},
};

/// `w[e, h] = exp(s[e, h] - l[i, h])` of each edge to `i`, from the inputs of [`attend`](super::attend) that score it and the
/// logarithms `l` of the sums of exponentials. 0 for a dangling edge, and for a self-loop of the graph where self-loops are
/// added; without the mask of dropout. Costs what the scores of all edges cost.
pub(super) fn record(
    program: &mut Program,
    specification: AttentionSpec,
    scored: &[Value],
    logarithms: Value,
) -> Result<Value, BuildError> {
    // No gradient flows back through what is only looked at.
    let inputs: Vec<Value> = scored.iter().chain([&logarithms]).map(|input| input.detached()).collect();
    let logarithms = scored.len();
    program.record_one(AttentionWeights { specification, logarithms }, &inputs)
}

/// [`record`].
#[derive(Clone, Copy, Debug)]
struct AttentionWeights {
    specification: AttentionSpec,
    /// The index of the input with the logarithms.
    logarithms: usize,
}

impl Operator for AttentionWeights {
    fn name(&self) -> &'static str {
        "attention_weights"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        let AttentionSpec { heads, relation, domains: [.., links], .. } = self.specification;
        self.specification.check(inputs)?;
        if relation != Relation::Neighbors {
            return Err(format!("gives the weights of {relation:?}; give it attention to neighbors"));
        }
        Ok(vec![Shape::new(links, heads)])
    }

    fn footprint(&self, input: usize) -> Footprint {
        let AttentionSpec { edges, vectors, .. } = self.specification;
        let is_of_row = edges == Some(input) || vectors.is_some_and(|(vectors, _)| vectors == input);
        if is_of_row { Footprint::Same } else { Footprint::Endpoints }
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        Cost { per_row: self.specification.scored_width(), per_entry: 0 }
    }

    fn run(&self, step: &mut Step<'_>) {
        let (specification, heads) = (self.specification, self.specification.heads);
        let [values, sources, targets, edges, self_loop_edges, vectors, masks, self_loop_masks] =
            specification.inputs();
        step.write_rows(
            Partition::Uniform,
            [values, sources, targets, edges, self_loop_edges, vectors, masks, self_loop_masks, self.logarithms],
            #[inline(always)]
            move |topology, matrices, rows, output| {
                let attending = specification.of(matrices);
                let mut tile = Tile::new(heads);
                for (row, weights) in rows.zip(output.chunks_exact_mut(heads)) {
                    let [source, target] = topology.endpoints[row];
                    if source == Topology::NO_ROW || !specification.counts(target, source) {
                        weights.fill(0.0);
                        continue;
                    }
                    let link = Link { target, source, edge: Some(row as u32), soon: source };
                    attending.weigh(&mut tile, link, matrices[8].row(target as usize), weights);
                }
            },
        );
    }
}
