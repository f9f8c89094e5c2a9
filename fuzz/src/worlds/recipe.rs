//! The models of worlds.

use arbitrary::Arbitrary;
use bevy_ecs::{component::Component, entity::Entity};
use bytemuck::{Pod, Zeroable};
use connectome::prelude::*;

/// Number of classes.
pub const CLASSES: usize = 3;

/// The features of a node.
#[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Body(pub [f32; 3]);

/// What is built.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub struct Recipe {
    pub kind: Kind,
    pub seed: u8,
}

/// The layers of a model.
#[derive(Arbitrary, Clone, Copy, Debug)]
pub enum Kind {
    Gcn,
    SageMaximum,
    Gat,
    Gatv2,
    Transformer,
    Gin,
    Pna,
    GraphNorm,
    ResGated,
    Appnp,
    EdgeConv,
    Gcnii,
    Readout,
    Attention,
}

impl Recipe {
    /// A model that predicts a class of each node, or of each subgraph.
    pub fn model(self, graph: Entity) -> ModelBuilder {
        let model = ModelBuilder::new(graph).reads::<Body>().seed(u64::from(self.seed));
        let hidden = 5;
        let model = match self.kind {
            Kind::Gcn => model.layer(GcnConv::new(hidden)).layer(BatchNorm::new()),
            Kind::SageMaximum => model.layer(SageConv::new(hidden).with_aggregation(Reduction::Max)),
            Kind::Gat => model.layer(GatConv::new(hidden)),
            Kind::Gatv2 => model.layer(Gatv2Conv::new(hidden)),
            Kind::Transformer => model.layer(TransformerConv::new(hidden)).layer(LayerNorm::new()),
            Kind::Gin => model.layer(GinConv::new(Mlp::new([hidden, hidden])).train_epsilon()),
            // Measured on the graph of the first step, its degrees would be those of a graph that is gone.
            Kind::Pna => model.layer(PnaConv { average_log_degree: 1.0, ..PnaConv::new(hidden) }),
            Kind::GraphNorm => model.layer(MeanConv::new(hidden)).layer(GraphNorm::new()),
            Kind::ResGated => model.layer(ResGatedGraphConv::new(hidden)),
            Kind::Appnp => model.layer(Linear::new(hidden)).layer(Appnp::new(2, 0.1)),
            Kind::EdgeConv => model.layer(EdgeConv::new(Mlp::new([hidden, hidden]))),
            Kind::Gcnii => model.layer(Linear::new(hidden)).layer(Gcnii::new(2)),
            Kind::Readout => model.layer(GraphConv::new(hidden)).layer(Readout::Mean),
            Kind::Attention => model.layer(GcnConv::new(hidden)).layer(AttentionalAggregation::new(hidden)),
        };
        let model = model.layer(Activation::Tanh).layer(Dropout(0.3)).layer(Linear::new(CLASSES));
        // The velocity does not depend on how many steps it has seen, so it can be taken to another world.
        model.optimizer(Optimizer::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 1e-3 })
    }
}
