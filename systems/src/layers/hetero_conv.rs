//! Convolutions of graphs with several kinds of nodes and of edges.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{Initialization, Layer, affine::Affine};
use crate::{
    error::BuildError,
    kernels::Activation,
    operators::{activate, add, columns, concatenate, linear, maximum, mean_rows, scale, scale_by, softmax},
    program::{KindIndex, Program, Value},
};

/// A convolution for each relation, and the aggregation of what the nodes of a kind receive along several of them:
/// `Y[t] = aggregation of conv_r(X[source of r], X[t]) over the relations r that end in kind t` (PyTorch Geometric's
/// `HeteroConv`; Schlichtkrull et al., "Modeling relational data with graph convolutional networks", ESWC 2018, eq. 1).
///
/// Each kind has features of its own width; the convolutions of the relations that end in one kind have one output width.
/// Which convolutions work between two kinds: `SageConv`, `GraphConv`, `GinConv`, `GineConv`, `GatConv` and `Gatv2Conv`
/// without added self-loops, `TransformerConv`, `ResGatedGraphConv`, `NnConv`; along relations within a kind all do.
///
/// Costs the sum of the convolutions. Border: a kind in which no relation ends has no features any more; relations that
/// begin there are left out by later layers unless they are named. Nodes without edges get what the convolutions give them.
///
/// Parameters are called `convolutions.RELATION.*` and, with attention, `attention.KIND.weight`, `.bias` and `.query`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeteroConv<L> {
    /// The convolution of each relation that is not named in `relations`.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub convolution: Option<Box<L>>,
    /// The convolutions of relations by name.
    #[serde(default = "BTreeMap::new")]
    pub relations: BTreeMap<String, L>,
    /// How the results of several relations are put together.
    #[serde(default)]
    pub aggregation: RelationAggregation,
}

fn none<L>() -> Option<Box<L>> {
    None
}

/// How what nodes receive along several relations is put together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub enum RelationAggregation {
    /// Their sum.
    #[default]
    Sum,
    /// Their mean.
    Mean,
    /// The largest of each feature.
    Max,
    /// The sum, each relation `r` weighted by `softmax over r of w[r]`, with `w[r]` the mean over the nodes of
    /// `q . tanh(W Z_r[i] + b)`, of this width (semantic attention: Wang et al., "Heterogeneous graph attention network",
    /// WWW 2019, eq. 7 to 9).
    Attention(usize),
}

impl<L> HeteroConv<L> {
    /// The same convolution, with parameters of its own for each, along all relations, summed.
    pub fn new(convolution: L) -> Self {
        let (convolution, relations) = (Some(Box::new(convolution)), BTreeMap::new());
        Self { convolution, relations, aggregation: RelationAggregation::Sum }
    }

    /// The sum of convolutions of the relations that are named.
    pub fn of_relations<'a>(relations: impl IntoIterator<Item = (&'a str, L)>) -> Self {
        let relations = relations.into_iter().map(|(name, convolution)| (name.to_owned(), convolution)).collect();
        Self { convolution: None, relations, aggregation: RelationAggregation::Sum }
    }

    /// The same with another aggregation.
    pub fn with_aggregation(self, aggregation: RelationAggregation) -> Self {
        Self { aggregation, ..self }
    }
}

impl<L: Layer> HeteroConv<L> {
    /// The convolution of a relation.
    fn convolution(&self, relation: &str) -> Option<&dyn Layer> {
        let named = self.relations.get(relation).map(|layer| -> &dyn Layer { layer });
        named.or(self.convolution.as_deref().map(|layer| -> &dyn Layer { layer }))
    }

    fn check(&self, program: &Program) -> Result<(), BuildError> {
        if let Some(unknown) =
            self.relations.keys().find(|name| !program.relation_names().any(|(known, _)| known == *name))
        {
            let known: Vec<String> = program.relation_names().map(|(name, _)| format!("`{name}`")).collect();
            let reason = format!("has a convolution of the relation `{unknown}`, of which the model has none");
            return Err(program.setting_error("relations", format!("{reason}; take one of {}", known.join(", "))));
        }
        match self.convolution.is_none() && self.relations.is_empty() {
            true => Err(program.error("has no convolution; give it one for all relations, or for some by name")),
            false => Ok(()),
        }
    }

    /// What each kind receives along each relation that ends in it.
    fn messages(&self, program: &mut Program) -> Result<Vec<Vec<Value>>, BuildError> {
        let mut received: Vec<Vec<Value>> = program.kind_names().map(|_| Vec::new()).collect();
        let along = program.map_relations(|program, relation, [source, target]| {
            let is_named = self.relations.contains_key(&relation.name);
            let Some(convolution) = self.convolution(&relation.name) else { return Ok(None) };
            if !is_named && [source, target].iter().any(|kind| program.features_of(*kind).is_err()) {
                return Ok(None);
            }
            let input = program.features_of(target)?;
            program.features_of(source)?;
            convolve(program, &relation.name, convolution, (input, source != target)).map(Some)
        })?;
        for (kind, value) in along {
            received[kind.0 as usize].extend(value);
        }
        Ok(received)
    }
}

/// Records the convolution of the present relation, which is between two kinds or not.
fn convolve(
    program: &mut Program,
    relation: &str,
    convolution: &dyn Layer,
    (input, is_between): (Value, bool),
) -> Result<Value, BuildError> {
    program.reads_sources = false;
    let nodes = program.nodes();
    let output = program.within_path("convolutions", |program| program.nested(relation, convolution, input));
    if is_between && !program.reads_sources {
        let reason = format!("passes no messages from one kind to another, as the relation `{relation}` needs");
        return Err(program.error(format!("{reason}; use `SageConv`, `GraphConv`, `GatConv` or `TransformerConv`")));
    }
    match output {
        Ok(output) if output.domain() != nodes => {
            let reason = format!("has a layer of the relation `{relation}` whose output is not on nodes");
            Err(program.error(format!("{reason}; give it a convolution")))
        }
        output => output,
    }
}

impl<L: Layer> Layer for HeteroConv<L> {
    fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
        program.of_all_kinds(input, |program| {
            self.check(program)?;
            let received = self.messages(program)?;
            let mut features = Vec::new();
            for (kind, values) in (0..).map(KindIndex).zip(received) {
                check_widths(program, kind, &values)?;
                let name = program.kind_name(kind).to_owned();
                features.push(
                    program
                        .within(program.home(kind), |program| self.aggregation.aggregate(program, &name, &values))?,
                );
            }
            Ok(features)
        })
    }

    fn reads_all_kinds(&self) -> bool {
        true
    }
}

/// Checks that what a kind receives is of one width.
fn check_widths(program: &Program, kind: KindIndex, values: &[Value]) -> Result<(), BuildError> {
    let Some([one, other]) = values.array_windows().find(|[one, other]| one.width() != other.width()) else {
        return Ok(());
    };
    let (name, one, other) = (program.kind_name(kind), one.width(), other.width());
    let reason = format!("gives nodes of the kind `{name}` features of width {one} along one relation and {other}");
    Err(program.error(format!("{reason} along another; give the convolutions that end there one width")))
}

impl RelationAggregation {
    /// Puts values of a kind together; none if there are none.
    fn aggregate(self, program: &mut Program, kind: &str, values: &[Value]) -> Result<Option<Value>, BuildError> {
        let &[first, ref others @ ..] = values else { return Ok(None) };
        if others.is_empty() {
            return Ok(Some(first));
        }
        let mut total = first;
        match self {
            Self::Sum | Self::Mean => {
                for value in others {
                    total = add(program, [(total, 1.0), (*value, 1.0)])?;
                }
                if self == Self::Mean {
                    total = scale(program, total, 1.0 / values.len() as f32)?;
                }
            }
            Self::Max => {
                for value in others {
                    total = maximum(program, [total, *value])?;
                }
            }
            Self::Attention(width) => return attend(program, (kind, width), values).map(Some),
        }
        Ok(Some(total))
    }
}

/// Semantic attention to the values of several relations.
fn attend(program: &mut Program, (kind, width): (&str, usize), values: &[Value]) -> Result<Value, BuildError> {
    let name = format!("attention.{kind}");
    let query = program.parameter(
        &format!("{name}.query"),
        [width, 1],
        connectome_components::TensorLayout { shape: vec![width], transposed: false },
        Initialization::Uniform(1.0 / (width.max(1) as f32).sqrt()),
        None,
    )?;
    let map = Affine { name: &name, width, bias: true, initialization: None, weight_decay: None };
    let mut scores = Vec::new();
    for value in values {
        let mapped = map.of(program, *value)?;
        let hidden = activate(program, mapped, Activation::Tanh)?;
        let score = linear(program, hidden, &query, None)?;
        scores.push(mean_rows(program, score)?);
    }
    let scores = concatenate(program, &scores)?;
    let weights = softmax(program, scores)?;
    let mut total: Option<Value> = None;
    for (index, value) in values.iter().enumerate() {
        let weight = columns(program, weights, index..index + 1)?;
        let weight = program.computed_weight(weight, [1, 1])?;
        let term = scale_by(program, *value, &weight, 0.0)?;
        total = Some(match total {
            Some(total) => add(program, [(total, 1.0), (term, 1.0)])?,
            None => term,
        });
    }
    total.ok_or_else(|| program.error("attends to no relations; report this as a bug"))
}
