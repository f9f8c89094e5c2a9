//! The components of connectome: fields, graphs, topology, models, parameters. Data without behavior.
//!
//! | entity | components |
//! | --- | --- |
//! | graph | [`Graph`], [`Topology`], [`CliquesOf`], [`CliqueSearch`] |
//! | node | [`GraphNode`] or a component of your own, [`GraphKey`], [`ClassLabel`], [`Split`], [`InSubgraph`], [`NodeColor`], and the [`Field`]s of the models on it |
//! | edge | [`Edge`], [`EdgeWeight`], [`EdgeKind`], [`EdgePosition`], and fields |
//! | subgraph | [`Subgraph`] or a component of your own, [`GraphKey`], and fields |
//! | clique | [`Clique`], [`CliqueOf`] |
//! | model | [`Model`], [`Optimizer`], [`LearningRateSchedule`], [`GradientAccumulation`], [`GradientClipping`], [`TrainingState`], [`Metrics`], [`LearningFault`], [`ModelMarker`], [`MixtureOfExperts`], [`LessonProgress`] |
//! | comparison | [`GraphPair`], [`EditDistance`] |
//! | parameter | [`Parameter`], and its fields: value, gradient, moments |

mod clique;
mod column;
mod comparison;
mod edge;
mod error;
mod fault;
mod features;
mod field;
mod gradient;
mod graph;
mod key;
mod lesson;
mod levels;
mod loss;
mod matrix;
mod metrics;
mod mixture;
mod model;
mod model_marker;
mod node;
mod optimizer;
mod parameter;
mod pool;
mod ranking;
#[cfg(feature = "reflect")]
mod reflect;
mod rows;
mod subgraph;
mod topology;

pub use clique::{Clique, CliqueOf, CliqueSearch, CliquesOf};
pub use column::{
    Column, ColumnMut, ColumnSet, ColumnState, Columns, ColumnsState, HugePages, MAX_WRITTEN, Marker, Read,
    UnwrittenColumns, Write, attach_fields, attach_keys, insert_default, register_default, table_components,
    table_components_mut,
};
pub use comparison::{EditDistance, GraphPair};
pub use edge::{Edge, EdgeKind, EdgePosition, EdgeWeight};
pub use error::FieldError;
pub use fault::{Fault, LearningFault};
pub use features::Features;
pub use field::{DoubleBuffer, Element, Field, Parity};
pub use gradient::{GradientAccumulation, GradientClipping};
pub use graph::Graph;
pub use key::{GraphKey, KeyOrder};
pub use lesson::LessonProgress;
pub use levels::{Cycle, Direction, Levels};
pub use loss::{Loss, SoftmaxGroups};
pub use matrix::{Matrix, MatrixMut};
pub use metrics::{ClassCounts, HeadMetrics, MAX_CONFUSED, MetricValue, Metrics, SplitMetrics};
pub use mixture::{Expert, GateLosses, Mixing, MixtureOfExperts};
pub use model::{FeatureField, Model, ModelHead, TrainingState};
pub use model_marker::ModelMarker;
pub use node::{ClassLabel, GraphNode, NodeColor, Split};
pub use optimizer::{LearningRateSchedule, Optimizer};
pub use parameter::{Parameter, TensorLayout};
pub use pool::FieldPool;
pub use ranking::Ranking;
#[cfg(feature = "reflect")]
pub use reflect::register_types;
pub use rows::Rows;
pub use subgraph::{InSubgraph, Subgraph};
pub use topology::{Adjacency, Coefficients, Normalization, Sources, Topology};
