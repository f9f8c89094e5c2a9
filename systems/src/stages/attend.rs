//! What a row takes from those that it attends to.

use connectome_components::{Field, Signal};

use super::{
    epilogue::Epilogue,
    heads::{HeadWeights, head_products, weighted_sums},
    relation::Relation,
};
use crate::{
    Phase,
    layers::{BuildError, LayerBuilder},
};

/// A number for each head of each row that is attended to: a score, or the weight that follows from it.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// `[E, H]` on edges; on nodes that are attended to as members of a subgraph.
    pub others: Signal,
    /// That of a node for itself, `[N, H]` on nodes: a self-loop in place of those that the graph may have.
    pub own: Option<Signal>,
}

impl Attention {
    /// Takes both parts through a stage.
    ///
    /// # Errors
    /// Those of the stage.
    pub fn through(
        self,
        layer: &mut LayerBuilder,
        stage: impl Fn(&mut LayerBuilder, Signal) -> Result<Signal, BuildError>,
    ) -> Result<Self, BuildError> {
        let others = stage(layer, self.others)?;
        let own = self.own.map(|own| stage(layer, own)).transpose()?;
        Ok(Self { others, own })
    }

    /// Whether a gradient flows back through it.
    pub(super) fn learns(&self) -> bool {
        self.others.learns() || self.own.is_some_and(|own| own.learns())
    }

    /// The fields, once it is seen that they are where they belong.
    pub(super) fn fields(&self, layer: &LayerBuilder, relation: Relation) -> Result<HeadWeights, BuildError> {
        let others = layer.dense(self.others)?;
        let own = self.own.map(|own| layer.dense(own)).transpose()?;
        if others.on() != relation.links(layer.rows()) {
            return Err(layer.refuse(format!("attends to {relation:?}, but its scores are on other rows")));
        }
        let nodes = layer.rows().nodes;
        if let Some(own) = own
            && (relation == Relation::Members || own.on() != nodes || own.width() != others.width())
        {
            return Err(layer.refuse("lets nodes attend to themselves, so give a score on nodes for each of its heads"));
        }
        Ok(HeadWeights { others, own })
    }
}

/// `Y[i, h] = f(w[i, h] X[i, h] + sum over j of w[ij, h] X[j, h] + b)` over the rows `j` that meet in `i`: of the `H C`
/// columns of `X`, head `h` has the columns `h C` to `(h + 1) C`. Zeros, and the bias, where no rows meet.
///
/// Nothing of a size `[E, H C]` is made, forward or backward. Costs `(E + N) H C` multiplications, and three times as many
/// backward.
///
/// # Errors
/// If a signal is sparse, or not on the rows where it belongs, or the heads do not divide the columns of `X`.
pub fn attend(
    layer: &mut LayerBuilder,
    input: Signal,
    weights: Attention,
    relation: Relation,
    epilogue: Epilogue,
) -> Result<Signal, BuildError> {
    let values = layer.dense(input)?;
    let fields = weights.fields(layer, relation)?;
    let [from, to] = relation.domains(layer.rows());
    if values.on() != from || (fields.own.is_some() && from != to) {
        return Err(layer.refuse(format!("attends to {relation:?}, but its input is on other rows")));
    }
    check_heads(layer, values, fields.others.width())?;
    let learns = input.learns() || weights.learns() || epilogue.learns();
    let output = layer.signal(to, values.width(), learns)?;
    let forward = weighted_sums(layer, "attend", (relation, false), values, fields, &epilogue, output.value());
    layer.forward(Phase::Aggregate, forward);
    let mut keeps = epilogue.keeps(output);
    keeps.extend([input, weights.others].into_iter().chain(weights.own));
    layer.on_backward(output, &keeps, move |layer, gradient| {
        const NAME: &str = "attend_backward";
        epilogue.backward(layer, output.value(), gradient)?;
        if let Some(target) = layer.gradient_of(weights.others)? {
            let backward = head_products(layer, NAME, Some(relation), [values, gradient], 1.0, target);
            layer.backward(backward);
        }
        if let Some(own) = weights.own
            && let Some(target) = layer.gradient_of(own)?
        {
            let backward = head_products(layer, NAME, None, [values, gradient], 1.0, target);
            layer.backward(backward);
        }
        if let Some(target) = layer.gradient_of(input)? {
            let plain = Epilogue::default();
            let backward = weighted_sums(layer, NAME, (relation, true), gradient, fields, &plain, target);
            layer.backward(backward);
        }
        Ok(())
    });
    Ok(output)
}

/// Sees that so many heads share the columns of a field.
pub(super) fn check_heads(layer: &LayerBuilder, values: Field, heads: usize) -> Result<(), BuildError> {
    if values.width().is_multiple_of(heads) {
        return Ok(());
    }
    let width = values.width();
    Err(layer.refuse(format!("divides {width} columns among {heads} heads; give each head as many")))
}
