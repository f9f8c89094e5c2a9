//! What a brain reads and writes, by type.

use bevy_ecs::{
    component::Component,
    query::{Changed, Or, QueryData, QueryFilter, ReadOnlyQueryData, Without},
    system::EntityCommands,
};
use connectome::{components::Features, systems::ModelBuilder};
use std::any::type_name;

/// A kind of brain: the graph that it lives on, and the components that it reads and writes. Its layers, its loss and its
/// optimizer are those of a file; see [`BrainApp::add_brain`](crate::BrainApp::add_brain).
///
/// ```
/// use bevy_connectome::prelude::*;
/// use bevy_ecs::prelude::*;
///
/// #[derive(Component, Default, Features)]
/// struct Velocity([f32; 2]);
/// #[derive(Component, Default, Features)]
/// struct Steering([f32; 2]);
/// #[derive(Component, Default, Features)]
/// struct Wish([f32; 2]);
///
/// struct Flock;
///
/// impl Brain for Flock {
///     type Node = Velocity;
///     type Edge = Edge;
///     type Input = (Velocity,);
///     type Output = Steering;
///
///     fn connect(model: ModelBuilder) -> ModelBuilder {
///         model.predicts::<Wish>()
///     }
/// }
/// ```
pub trait Brain: Send + Sync + 'static {
    /// The component that makes an entity a node of its graph.
    type Node: Component;
    /// The component that makes an [`Edge`](connectome::prelude::Edge) one of its graph; `Edge` itself for all of them.
    type Edge: Component;
    /// The components of the nodes that it reads, side by side, as a tuple of up to four. Systems that write different ones do not
    /// conflict.
    type Input: BrainInput;
    /// The component of nodes, edges or subgraphs, as the layers end on them, that it writes.
    type Output: Features;

    /// What else it reads, such as targets by [`ModelBuilder::predicts`] or features of edges by [`ModelBuilder::reads_edges`];
    /// the file adds the layers, the loss and the optimizer.
    fn connect(model: ModelBuilder) -> ModelBuilder {
        model
    }
}

/// The components that a [`Brain`] reads: a tuple of one to four that are [`Features`].
pub trait BrainInput: 'static {
    /// Reads them in a query.
    type Read: ReadOnlyQueryData + 'static;
    /// Writes them in a query.
    type Write: QueryData + 'static;
    /// The nodes of which one has changed.
    type Changed: QueryFilter + 'static;

    /// Makes a model read them.
    fn connect(model: ModelBuilder) -> ModelBuilder;

    /// The nodes that lack one.
    type Missing: QueryFilter + 'static;

    /// Inserts the default of each that an entity lacks, so that systems find it before the brain does.
    fn insert_missing(entity: &mut EntityCommands);

    /// The first number of a node that is not finite. `row` is scratch.
    fn find_not_finite(node: <Self::Read as QueryData>::Item<'_, '_>, row: &mut Vec<f32>) -> Option<NotFinite>;
}

/// A number of a component that is not finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NotFinite {
    /// The name of the component.
    pub component: &'static str,
    /// Its place in the component's row.
    pub column: usize,
    /// The number.
    pub value: f32,
}

/// The name of a type without its path.
pub(crate) fn short_name<T: ?Sized>() -> &'static str {
    let name = type_name::<T>();
    name.rsplit("::").next().unwrap_or(name)
}

fn find_not_finite<T: Features>(component: &T, row: &mut Vec<f32>) -> Option<NotFinite> {
    /// Those of infinity; of what is not finite all are at least as large.
    const INFINITE: u32 = f32::INFINITY.to_bits();

    row.resize(T::WIDTH, 0.0);
    component.read(row);
    // Almost always all are finite, and the largest of whole numbers is found many at a time.
    let largest = row.iter().fold(0, |largest: u32, value| largest.max(value.abs().to_bits()));
    if largest < INFINITE {
        return None;
    }
    let column = row.iter().position(|value| !value.is_finite())?;
    Some(NotFinite { component: short_name::<T>(), column, value: row[column] })
}

macro_rules! input {
    ($($component:ident),+) => {
        impl<$($component: Features),+> BrainInput for ($($component,)+) {
            type Read = ($(&'static $component,)+);
            type Write = ($(&'static mut $component,)+);
            type Changed = Or<($(Changed<$component>,)+)>;
            type Missing = Or<($(Without<$component>,)+)>;

            fn connect(model: ModelBuilder) -> ModelBuilder {
                model$(.reads::<$component>())+
            }

            fn insert_missing(entity: &mut EntityCommands) {
                entity.insert_if_new(($($component::default(),)+));
            }

            #[allow(non_snake_case, reason = "the names of types name what is of them")]
            fn find_not_finite(
                ($($component,)+): <Self::Read as QueryData>::Item<'_, '_>,
                row: &mut Vec<f32>,
            ) -> Option<NotFinite> {
                None$(.or_else(|| find_not_finite($component, row)))+
            }
        }
    };
}

input!(A);
input!(A, B);
input!(A, B, C);
input!(A, B, C, D);
