//! The perceptron over ordered trees.

use connectome_components::Direction;
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, Mlp, directions::in_directions, mlp::torch_linear};
use crate::{
    error::BuildError,
    operators::{TreeCell, linear, tree_levels},
    program::{Program, Value, Weight},
};

/// `H[v] = nn([X[v], H[child of v at 0], .., H[child of v at arity - 1]])`, level by level: the state of a node of a term or
/// syntax tree follows from those of its children, which are in order (Goller & Küchler, "Learning task-dependent
/// distributed representations by backpropagation through structure", ICNN 1996).
///
/// Edges lead from child to parent, and their feature, `[E, 1]`, is the place of the child: 0, 1, and so on. A child may have
/// several parents, so terms may share parts. In [`Direction::Reverse`] parents take the part of the children: a node reads
/// the state of its parent at the place where it is the parent's child.
///
/// `X` is `[N, F]`, dense or sparse, `H` `[N, last width of nn]`, or twice as wide if `bidirectional`; the first map of `nn`
/// is `[F + arity C, widths[0]]` with `C` the last width. Costs `nn` on `N` rows.
///
/// Parameters are called as those of [`Mlp`], and `none`.
///
/// Border: a missing child has the state `none`, which is learned, or zeros. Several children at one place are added. A child
/// whose place is not one of those below the arity is not read. A graph with a cycle is an error of the step that names one,
/// [`BuildError::Cycle`]; dangling edges do not count. In a batch of several graphs, or of sampled neighbors, levels are
/// those of the batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeLevels {
    /// The perceptron of a node.
    pub nn: Mlp,
    /// Number of places of children.
    pub arity: usize,
    /// Whether the state of a missing child is learned; otherwise it is 0.
    #[serde(default = "is_learned")]
    pub learn_missing: bool,
    /// The direction.
    #[serde(default)]
    pub direction: Direction,
    /// Whether there is another pass in the opposite direction with weights of its own, whose states come after those of the
    /// first.
    #[serde(default)]
    pub bidirectional: bool,
}

fn is_learned() -> bool {
    true
}

impl TreeLevels {
    /// A layer with this perceptron for nodes with this number of children, from the leaves to the root.
    pub fn new(nn: Mlp, arity: usize) -> Self {
        Self { nn, arity, learn_missing: true, direction: Direction::Forward, bidirectional: false }
    }
}

impl Layer for TreeLevels {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let Mlp { widths, activation, batch_norm, weight_decay } = &self.nn;
        let (&[hidden, ..], width) = (&widths[..], self.nn.width()) else {
            return Err(program.error("has a perceptron without linear maps; give at least one width"));
        };
        if *batch_norm {
            let reason =
                "normalizes over the nodes of a batch, which are not known level by level; use no `batch_norm`";
            return Err(program.setting_error("nn", reason));
        }
        if self.arity == 0 {
            return Err(program.setting_error("arity", "has no places for children; give at least one"));
        }
        let places = program.edge_features()?;
        in_directions(program, (self.direction, self.bidirectional), |program, direction, suffix| {
            let map = |program: &mut Program, index: usize, shape: [usize; 2]| {
                torch_linear(program, &format!("{}{suffix}", 2 * index), shape, *weight_decay)
            };
            let inputs = self.arity.saturating_mul(width).saturating_add(input.width());
            let (weight, bias) = map(program, 0, [inputs, hidden])?;
            let maps = widths.array_windows().enumerate().map(|(index, shape)| {
                let (weight, bias) = map(program, index + 1, *shape)?;
                Ok([weight, bias])
            });
            let maps = maps.collect::<Result<Vec<[Weight; 2]>, BuildError>>()?;
            let name = format!("none{suffix}");
            let missing =
                self.learn_missing.then(|| program.vector(&name, width, Initialization::ZEROS, *weight_decay));
            let own = linear(program, input, &weight.rows(0..input.width()), Some(&bias))?;
            let cell = TreeCell {
                children: weight.rows(input.width()..inputs),
                missing: missing.transpose()?,
                maps,
                activation: *activation,
                arity: self.arity,
            };
            tree_levels(program, own, places, cell, direction)
        })
    }
}
