//! The E(n)-equivariant graph network of Satorras et al.

use connectome_components::TensorLayout;
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer, Mlp};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{
        EdgeTerms, Reduction, Relation, activate, add, gather_endpoints, linear, linear_pair, multiply, reduce,
        square_norm,
    },
    program::{Domain, Program, Value, Weight},
};

/// `M[e] = phi_e(H[t], H[s], |X[t] - X[s]|^2)` for each edge `e` from `s` to `t`,
/// `X'[i] = X[i] + mean over edges e to i of (X[i] - X[s]) phi_x(M[e])` and `H'[i] = H[i] + phi_h(H[i], sum of M[e])`
/// (Satorras, Hoogeboom & Welling, "E(n) equivariant graph neural networks", ICML 2021, eq. 3 to 6, with a residual
/// connection in eq. 6 as the authors' code has it, and the mean over incoming edges for `C`).
///
/// The input is `H`, `[N, F]`, dense. `X`, `[N, D]`, are the coordinates of the model
/// ([`ModelBuilder::coordinates`](crate::ModelBuilder::coordinates)), and the layers that follow read `X'` as
/// coordinates. The layer is equivariant: rotating, reflecting or translating `X` does the same to `X'` and does not
/// change `H'`. `phi_e` is a perceptron with widths `2 F + 1`, `hidden`, `hidden` and `SiLU` after each linear map,
/// `phi_x` one with widths `hidden`, `hidden`, 1, the last map without bias, `phi_h` one with widths `F + hidden`,
/// `hidden`, `F`; their parameters are called `phi_e.0.weight` and so on. The first maps of `H` are computed on the
/// nodes: costs `3 N F hidden` there and `2 E hidden^2` on the edges. Border: a node without incoming edges keeps its
/// coordinates, and its sum of messages is 0. A dangling edge sends no message.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EgnnConv {
    /// Width of the messages and of the hidden layers.
    pub hidden: usize,
    /// Weight decay of this layer's parameters; the optimizer's if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f32>,
}

impl EgnnConv {
    /// A layer with messages of this width.
    pub fn new(hidden: usize) -> Self {
        Self { hidden, weight_decay: None }
    }

    fn perceptron(&self, width: usize) -> Mlp {
        let silu = Mlp::new([self.hidden, width]).with_activation(Activation::Silu);
        Mlp { weight_decay: self.weight_decay, ..silu }
    }

    /// `M`, from the node features and `X[t] - X[s]`, the `differences` along the edges.
    fn messages(&self, program: &mut Program, input: Value, differences: Value) -> Result<Value, BuildError> {
        let width = input.width();
        let perceptron = self.perceptron(self.hidden);
        let (weight, bias) = perceptron.first(program, "phi_e", 2 * width + 1)?;
        let target = linear(program, input, &weight.rows(0..width), None)?;
        let source = linear(program, input, &weight.rows(width..2 * width), None)?;
        let distances = square_norm(program, differences)?;
        let edge = linear(program, distances, &weight.rows(2 * width..2 * width + 1), Some(&bias))?;
        let [source, target, edge] = [source, target, edge].map(|value| Some((value, 1.0)));
        let first = gather_endpoints(program, EdgeTerms { source, target, edge })?;
        let mapped = program.nested("phi_e", &perceptron.after_first(), first)?;
        activate(program, mapped, Activation::Silu)
    }

    /// `X'`: each message moves its target along the edge.
    fn move_nodes(
        &self,
        program: &mut Program,
        coordinates: Value,
        differences: Value,
        messages: Value,
    ) -> Result<Value, BuildError> {
        let (first, first_bias) = self.perceptron(1).first(program, "phi_x", self.hidden)?;
        let last = self.last_phi_x(program)?;
        let before = linear(program, messages, &first, Some(&first_bias))?;
        let hidden = activate(program, before, Activation::Silu)?;
        let factors = linear(program, hidden, &last, None)?;
        let translations = multiply(program, differences, factors)?;
        let change = reduce(program, translations, Relation::Edges, Reduction::Mean)?;
        add(program, [(coordinates, 1.0), (change, 1.0)])
    }

    /// The last map of `phi_x`, initialized so that nodes move little: within a thousandth of the bound of Glorot &
    /// Bengio, as in the authors' code.
    fn last_phi_x(&self, program: &mut Program) -> Result<Weight, BuildError> {
        let bound = 0.001 * (6.0 / (self.hidden + 1) as f32).sqrt();
        let layout = TensorLayout { shape: vec![1, self.hidden], transposed: true };
        let shape = [self.hidden, 1];
        program.parameter("phi_x.2.weight", shape, layout, Initialization::Uniform(bound), self.weight_decay)
    }
}

impl Layer for EgnnConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        let coordinates = program.coordinates()?;
        program.dense(input)?;
        if program.dense(coordinates)?.domain() != Domain::NODES {
            return Err(program.error("moves nodes, but the coordinates are not on nodes; use coordinates on nodes"));
        }
        let width = input.width();
        let terms = EdgeTerms { source: Some((coordinates, -1.0)), target: Some((coordinates, 1.0)), edge: None };
        let differences = gather_endpoints(program, terms)?;
        let messages = self.messages(program, input, differences)?;
        let moved = self.move_nodes(program, coordinates, differences, messages)?;
        let sums = reduce(program, messages, Relation::Edges, Reduction::Sum)?;

        let perceptron = self.perceptron(width);
        let (weight, bias) = perceptron.first(program, "phi_h", width + self.hidden)?;
        let terms = [(input, weight.rows(0..width)), (sums, weight.rows(width..width + self.hidden))];
        let first = linear_pair(program, terms, Some(&bias))?;
        let change = program.nested("phi_h", &perceptron.after_first(), first)?;
        program.set_coordinates(moved);
        add(program, [(input, 1.0), (change, 1.0)])
    }
}
