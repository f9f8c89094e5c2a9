//! The heterogeneous graph transformer.

use connectome_components::TensorLayout;
use serde::{Deserialize, Serialize};

use super::{
    Initialization, Layer,
    affine::Affine,
    heads::{Heads, one},
};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{
        Attention, PartialAttention, Relation, Scores, activate, add, attend_in_part, columns, linear_by_head,
        merge_attention, scale_by, zeros,
    },
    program::{Program, Shape, Value},
};

/// Attention to the sources of all relations at once, with maps of its own for each kind of nodes and for each relation:
///
/// `h[i] = sum over j of alpha[ij] (V_s x[j] + v_s) M_r` for each head, over the sources `j` of the edges of all relations
/// `r` that end in `i`, where `s` is the kind of `j`, with `alpha[ij] = exp(a[ij]) / sum over k of exp(a[ik])` and
/// `a[ij] = mu_r / sqrt(D) (K_s x[j] + k_s) A_r . (Q_t x[i] + q_t)`; then `y[i] = O_t gelu(h[i]) + o_t`, and
/// `y[i] = g y[i] + (1 - g) x[i]` with `g = sigmoid(skip_t)` where `x` is as wide as `y` (Hu, Dong, Wang & Sun,
/// "Heterogeneous graph transformer", WWW 2020, eq. 3 to 5).
///
/// `X` is `[N, F]` with a width of its own for each kind; `width` is that of all heads together, `H D`. Costs
/// `8 N F H D` for the maps of nodes, `4 N H D D` for each relation that begins there, and `2 E H D`.
///
/// Border: where no edge ends `h` is 0. Weights that [`ModelBuilder::keep_attention`](crate::ModelBuilder::keep_attention)
/// keeps are those among the edges of one relation.
///
/// Parameters are called as in PyTorch Geometric, by kind and by relation: `kqv_lin.KIND.weight`, `.bias`, `out_lin.KIND.*`,
/// `skip.KIND`, `k_rel.RELATION`, `v_rel.RELATION` (`[H, D, D]`) and `p_rel.RELATION` (`[H]`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HgtConv {
    /// Output width, of all heads together.
    pub width: usize,
    /// Number of attention heads.
    #[serde(default = "one")]
    pub heads: usize,
}

/// What a kind sends and asks for.
struct Maps {
    keys: Value,
    queries: Value,
    values: Value,
}

impl HgtConv {
    /// A layer with this output width, that of all heads together.
    pub fn new(width: usize, heads: usize) -> Self {
        Self { width, heads }
    }

    /// Keys, queries and values of a kind.
    fn maps(&self, program: &mut Program, kind: &str, features: Value) -> Result<Maps, BuildError> {
        let (name, width) = (format!("kqv_lin.{kind}"), self.width.saturating_mul(3));
        let map = Affine { name: &name, width, bias: true, initialization: None, weight_decay: None };
        let all = map.of(program, features)?;
        let mut part = |index: usize| columns(program, all, index * self.width..(index + 1) * self.width);
        Ok(Maps { keys: part(0)?, queries: part(1)?, values: part(2)? })
    }

    /// A square matrix for each head of a relation, applied to the keys or the values of its sources.
    fn by_relation(
        &self,
        program: &mut Program,
        (name, relation): (&str, &str),
        input: Value,
        has_prior: bool,
    ) -> Result<Value, BuildError> {
        let features = self.width / self.heads;
        let layout = TensorLayout { shape: vec![self.heads, features, features], transposed: false };
        let bound = Initialization::Uniform((3.0 / features.max(1) as f32).sqrt());
        let weight = program.parameter(&format!("{name}.{relation}"), [self.width, features], layout, bound, None)?;
        let prior = format!("p_rel.{relation}");
        let prior =
            has_prior.then(|| program.vector(&prior, self.heads, Initialization::Constant(1.0), None)).transpose()?;
        linear_by_head(program, input, &weight, prior.as_ref())
    }

    /// The attention of the nodes of a relation's target to its sources.
    fn attend(&self, program: &mut Program, relation: &str, ends: [&Maps; 2]) -> Result<PartialAttention, BuildError> {
        let [source, target] = ends;
        let keys = self.by_relation(program, ("k_rel", relation), source.keys, true)?;
        let values = self.by_relation(program, ("v_rel", relation), source.values, false)?;
        let factor = 1.0 / ((self.width / self.heads) as f32).sqrt();
        let attention = Attention {
            heads: self.heads,
            scores: Scores::ScaledDot { keys, queries: target.queries, factor },
            edges: None,
            add_self_loops: false,
            self_loop_edges: None,
            dropout: 0.0,
        };
        attend_in_part(program, values, attention, Relation::Neighbors, None)
    }

    /// The output of a kind, from what its nodes have received and were before.
    fn output(
        &self,
        program: &mut Program,
        kind: &str,
        received: Option<PartialAttention>,
        features: Value,
    ) -> Result<Value, BuildError> {
        let received = match received {
            Some(part) => part.output,
            None => zeros(program, Shape::new(features.domain(), self.width))?,
        };
        let hidden = activate(program, received, Activation::Gelu)?;
        let name = format!("out_lin.{kind}");
        let map = Affine { name: &name, width: self.width, bias: true, initialization: None, weight_decay: None };
        let mapped = map.of(program, hidden)?;
        if features.width() != self.width || features.is_sparse() {
            return Ok(mapped);
        }
        let skip = program.vector(&format!("skip.{kind}"), 1, Initialization::Constant(1.0), None)?;
        let gate = activate(program, skip.value(), Activation::Sigmoid)?;
        let gate = program.computed_weight(gate, [1, 1])?;
        let change = add(program, [(mapped, 1.0), (features, -1.0)])?;
        let change = scale_by(program, change, &gate, 0.0)?;
        add(program, [(features, 1.0), (change, 1.0)])
    }
}

impl Layer for HgtConv {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        Heads { count: self.heads, width: self.width, concat: true, weight_decay: None }.total_width(program)?;
        if !self.width.is_multiple_of(self.heads) {
            let reason = format!("divides {} features among {} heads; give a multiple", self.width, self.heads);
            return Err(program.setting_error("width", reason));
        }
        program.of_all_kinds(input, |program| {
            let names: Vec<String> = program.kind_names().map(str::to_owned).collect();
            let mut maps = Vec::new();
            let features = program.map_kinds(|program, kind, features| {
                maps.push((kind, self.maps(program, &names[kind.0 as usize], features)?));
                Ok(features)
            })?;
            let maps_of = |kind| maps.iter().find(|(known, _)| *known == kind).map(|(_, maps)| maps);
            let along = program.map_relations(|program, relation, [source, target]| {
                let Some((source, target)) = maps_of(source).zip(maps_of(target)) else { return Ok(None) };
                self.attend(program, &relation.name, [source, target]).map(Some)
            })?;
            let mut received: Vec<Option<PartialAttention>> = names.iter().map(|_| None).collect();
            for (kind, part) in along {
                let (received, Some(part)) = (&mut received[kind.0 as usize], part) else { continue };
                *received = Some(match *received {
                    Some(known) => merge_attention(program, [known, part])?,
                    None => part,
                });
            }
            let kinds = names.iter().zip(received).zip(features);
            kinds
                .map(|((name, received), features)| {
                    features.map(|features| self.output(program, name, received, features)).transpose()
                })
                .collect()
        })
    }

    fn reads_all_kinds(&self) -> bool {
        true
    }
}
