//! Relational graph convolution.

use connectome_components::{Normalization, TensorLayout};
use serde::{Deserialize, Serialize};

use super::{Initialization, Layer};
use crate::{
    error::BuildError,
    operators::{add, aggregate, columns, linear},
    program::{Program, Value, Weight},
};

/// `Y[i] = W_0^T X[i] + b + sum over relations r of 1/|N_r(i)| sum over j in N_r(i) of W_r^T X[j]`, with the sources `N_r(i)`
/// of the edges of `r` that end in `i` (Schlichtkrull et al., "Modeling relational data with graph convolutional networks",
/// ESWC 2018, eq. 2). With bases the weights of all relations share them: `W_r = sum over b of a[r, b] V_b` (eq. 3).
///
/// `X` is `[N, F]` for every kind, of one width; `W_0` and each `W_r` are `[F, width]` and shared by the kinds, `V_b`
/// `[F, width]`, `a` `[R, B]`. The narrower of `X` and `X W_r` is aggregated. Costs `2 N F width` for each relation and for
/// the root, `E min(F, width)`, and `R B F width` for bases.
///
/// Border: nodes that receive nothing along a relation get 0 of it. Parallel edges count each.
///
/// Parameters are called `weight` (`[R, F, width]`, or `[B, F, width]` with bases), `comp`, `root` and `bias`, as in PyTorch
/// Geometric; relations in the order of the model.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RgcnConv {
    /// Output width.
    pub width: usize,
    /// Number of bases; a matrix of its own for each relation if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bases: Option<usize>,
}

impl RgcnConv {
    /// A layer with this output width and a matrix for each relation.
    pub fn new(width: usize) -> Self {
        Self { width, bases: None }
    }

    /// The same with this number of bases.
    pub fn with_bases(self, bases: usize) -> Self {
        Self { bases: Some(bases), ..self }
    }

    /// The matrices of all relations, `[F, width]`.
    fn weights(&self, program: &mut Program, inputs: usize) -> Result<Vec<Weight>, BuildError> {
        let (relations, size) = (program.relation_names().count(), inputs.saturating_mul(self.width));
        let matrices = self.bases.unwrap_or(relations);
        if matrices == 0 {
            return Err(program.setting_error("bases", "has no bases; give at least one, or leave them out"));
        }
        let bound = (6.0 / inputs.saturating_add(self.width).max(1) as f32).sqrt();
        let layout = TensorLayout { shape: vec![matrices, inputs, self.width], transposed: false };
        let shape = [matrices.saturating_mul(inputs), self.width];
        let all = program.parameter("weight", shape, layout, Initialization::Uniform(bound), None)?;
        let Some(bases) = self.bases else {
            return Ok((0..relations).map(|relation| all.rows(relation * inputs..(relation + 1) * inputs)).collect());
        };
        let layout = TensorLayout { shape: vec![relations, bases], transposed: false };
        let shares = program.parameter("comp", [relations, bases], layout, Initialization::Glorot, None)?;
        let all = program.computed_weight(all.value(), [bases, size])?;
        (0..relations)
            .map(|relation| {
                let share = columns(program, shares.value(), relation * bases..(relation + 1) * bases)?;
                let weight = linear(program, share, &all, None)?;
                program.computed_weight(weight, [inputs, self.width])
            })
            .collect()
    }
}

impl Layer for RgcnConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        program.of_all_kinds(input, |program| {
            let inputs = input.width();
            let weights = self.weights(program, inputs)?;
            let root = program.parameter(
                "root",
                [inputs, self.width],
                TensorLayout { shape: vec![inputs, self.width], transposed: false },
                Initialization::Glorot,
                None,
            )?;
            let bias = program.vector("bias", self.width, Initialization::ZEROS, None)?;
            let mut outputs = program.map_kinds(|program, kind, features| {
                if features.width() != inputs {
                    let name = program.kind_name(kind);
                    let reason = format!("reads features of width {} of the kind `{name}`", features.width());
                    return Err(program.error(format!("{reason} and {inputs} of others; put a `Linear` before it")));
                }
                linear(program, features, &root, Some(&bias))
            })?;
            let mut weights = weights.into_iter();
            let along = program.map_relations(|program, _, [source, _]| {
                let (features, weight) = (program.features_of(source)?, weights.next());
                let weight = weight.ok_or_else(|| program.error("has too few matrices; report this as a bug"))?;
                if program.sums_first(features, self.width) {
                    let means = aggregate(program, features, Normalization::Mean)?;
                    return linear(program, means, &weight, None);
                }
                let messages = linear(program, features, &weight, None)?;
                aggregate(program, messages, Normalization::Mean)
            })?;
            for (kind, value) in along {
                if let Some(total) = &mut outputs[kind.0 as usize] {
                    *total = add(program, [(*total, 1.0), (value, 1.0)])?;
                }
            }
            Ok(outputs)
        })
    }

    fn reads_all_kinds(&self) -> bool {
        true
    }
}
