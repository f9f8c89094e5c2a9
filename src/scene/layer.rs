//! The layers of scenes.

use connectome_systems::{
    kernels::Activation,
    layers::{
        Appnp, AttentionalAggregation, BatchNorm, BuildError, DagGru, DagNetwork, DiffPool, Dropout, EdgeConv,
        EdgeDecoder, Embedding, GatConv, GatedGraphConv, Gatv2Conv, GcnConv, Gcnii, GinConv, GineConv, GraphConv,
        GraphNetBlock, GraphNorm, HeteroConv, HgtConv, JumpingKnowledge, Layer, LayerNorm, Linear, MeanConv, Mlp,
        NnConv, PnaConv, QueryPool, Readout, ResGatedGraphConv, Residual, RgcnConv, SageConv, Set2Set, SgConv,
        TopKPooling, TransformerConv, TreeLevels,
    },
    program::{Program, Value},
};
use serde::{Deserialize, Serialize};

use super::locate::Step::{self, Field, Index, Ranked};

/// Declares [`LayerDescription`]: a variant for each layer, which holds it, and one for each activation.
macro_rules! descriptions {
    ($($name:ident($layer:ty),)* ; $($activation:ident,)*) => {
        /// One layer of a model.
        ///
        /// In a scene file a model reads `[Dropout(0.5), GcnConv(width: 16), Relu, GcnConv(width: 7)]`. The settings of
        /// a layer are the fields of its type.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub enum LayerDescription {
            $(
                #[doc = concat!("See [`", stringify!($layer), "`].")]
                $name($layer),
            )*
            /// [`Activation::LeakyRelu`] with this slope.
            LeakyRelu(f32),
            /// [`Activation::Elu`] with this alpha.
            Elu(f32),
            $(
                #[doc = concat!("See [`Activation::", stringify!($activation), "`].")]
                $activation,
            )*
        }

        impl LayerDescription {
            /// Its name in scene files.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Self::$name(_) => stringify!($name),)*
                    Self::LeakyRelu(_) => "LeakyRelu",
                    Self::Elu(_) => "Elu",
                    $(Self::$activation => stringify!($activation),)*
                }
            }

            /// Whether it is an activation.
            fn is_activation(&self) -> bool {
                match self {
                    $(Self::$name(_) => false,)*
                    _ => true,
                }
            }
        }

        impl Layer for LayerDescription {
            fn build(&self, input: Value, program: &mut Program) -> Result<Value, BuildError> {
                match self {
                    $(Self::$name(described) => described.build(input, program),)*
                    Self::LeakyRelu(slope) => Activation::LeakyRelu(*slope).build(input, program),
                    Self::Elu(alpha) => Activation::Elu(*alpha).build(input, program),
                    $(Self::$activation => Activation::$activation.build(input, program),)*
                }
            }

            fn reads_all_kinds(&self) -> bool {
                match self {
                    $(Self::$name(described) => described.reads_all_kinds(),)*
                    _ => false,
                }
            }
        }
    };
}

descriptions! {
    Dropout(Dropout),
    Linear(Linear),
    Mlp(Mlp),
    Embedding(Embedding),
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    GraphNorm(GraphNorm),
    GcnConv(GcnConv),
    GraphConv(GraphConv),
    SageConv(SageConv),
    GinConv(GinConv),
    GineConv(GineConv),
    GatConv(GatConv),
    Gatv2Conv(Gatv2Conv),
    TransformerConv(TransformerConv),
    ResGatedGraphConv(ResGatedGraphConv),
    EdgeConv(EdgeConv),
    EdgeDecoder(EdgeDecoder),
    NnConv(NnConv),
    PnaConv(PnaConv),
    SgConv(SgConv),
    Appnp(Appnp),
    Gcnii(Gcnii),
    GatedGraphConv(GatedGraphConv),
    GraphNetBlock(GraphNetBlock),
    DagNetwork(DagNetwork),
    DagGru(DagGru),
    TreeLevels(TreeLevels),
    MeanConv(MeanConv),
    HeteroConv(HeteroConv<LayerDescription>),
    RgcnConv(RgcnConv),
    HgtConv(HgtConv),
    Residual(Residual<LayerDescription>),
    JumpingKnowledge(JumpingKnowledge<LayerDescription>),
    Readout(Readout),
    AttentionalAggregation(AttentionalAggregation),
    Set2Set(Set2Set),
    DiffPool(DiffPool),
    QueryPool(QueryPool),
    TopKPooling(TopKPooling),
    ;
    Relu,
    Gelu,
    Sigmoid,
    Silu,
    Softplus,
    Tanh,
}

impl LayerDescription {
    /// The layer within this one to which a path such as `.layers.0` leads, as far as it does; that part of the path; and
    /// where the layer stands in this one.
    pub(super) fn nested_at<'a>(&self, path: &'a str) -> (&Self, &'a str, Vec<Step<'static>>) {
        let (mut layer, mut rest, mut steps) = (self, path, Vec::new());
        while let Some((next, after, taken)) = layer.next_nested(rest) {
            (layer, rest) = (next, after);
            steps.extend(taken);
        }
        (layer, &path[..path.len() - rest.len()], steps)
    }

    /// The layer directly within this one with which a path begins, the rest of the path, and where it stands.
    fn next_nested<'a>(&self, path: &'a str) -> Option<(&Self, &'a str, Vec<Step<'static>>)> {
        match self {
            Self::Residual(residual) => {
                let (index, rest) = leading_index(path.strip_prefix(".layers.")?)?;
                Some((residual.layers.get(index)?, rest, vec![Field("layers"), Index(index)]))
            }
            Self::JumpingKnowledge(jumping) => {
                let (block, rest) = leading_index(path.strip_prefix(".blocks.")?)?;
                let (index, rest) = leading_index(rest.strip_prefix('.')?)?;
                let layer = jumping.blocks.get(block)?.get(index)?;
                Some((layer, rest, vec![Field("blocks"), Index(block), Index(index)]))
            }
            Self::HeteroConv(convolution) => {
                let rest = path.strip_prefix(".convolutions.")?;
                let (name, rest) = rest.split_at(rest.find('.').unwrap_or(rest.len()));
                match convolution.relations.keys().position(|relation| relation == name) {
                    Some(rank) => Some((&convolution.relations[name], rest, vec![Field("relations"), Ranked(rank)])),
                    None => Some((convolution.convolution.as_deref()?, rest, vec![Field("convolution")])),
                }
            }
            _ => None,
        }
    }

    /// Whether its output is as wide as its input, whatever its settings.
    pub fn keeps_width(&self) -> bool {
        let is_norm = matches!(self, Self::BatchNorm(_) | Self::LayerNorm(_) | Self::GraphNorm(_));
        let passes_on = matches!(
            self,
            Self::Dropout(_) | Self::Readout(_) | Self::Appnp(_) | Self::Gcnii(_) | Self::TopKPooling(_)
        );
        is_norm || passes_on || self.is_activation()
    }
}

/// The number with which a path begins, and the rest of the path.
fn leading_index(path: &str) -> Option<(usize, &str)> {
    let end = path.find('.').unwrap_or(path.len());
    Some((path[..end].parse().ok()?, &path[end..]))
}
