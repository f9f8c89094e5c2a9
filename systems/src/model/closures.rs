//! User-defined functions between components and the rows of a model.

use bevy_ecs::{
    component::{Component, Mutable},
    entity::Entity,
    system::{BoxedSystem, ParamBuilder, Query, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, ColumnMut, Field, Rows, Topology};
use std::sync::Arc;

use crate::program::Domain;

/// The rows of a graph for which a function is called, and the field of a model on them.
#[derive(Clone, Copy, Debug)]
pub struct RowAccess {
    pub(super) graph: Entity,
    pub(super) field: Field,
    pub(super) rows: fn(&Topology) -> &Rows,
}

impl RowAccess {
    /// The rows of a domain of the model's graph.
    pub(super) fn new(graph: Entity, field: Field, domain: Domain) -> Self {
        let rows: fn(&Topology) -> &Rows = match domain {
            Domain::Edges(_) => |topology| &topology.edges,
            Domain::Subgraphs(_) => |topology| &topology.subgraphs,
            Domain::Nodes(_) | Domain::Single => |topology| &topology.nodes,
        };
        Self { graph, field, rows }
    }
}

/// A function that computes the input of a node from its components, for
/// [`ModelBuilder::observe`](crate::ModelBuilder::observe): from `&A`, or from a tuple of up to six such references.
///
/// `Marker` are the types of the components, which the compiler infers if the function's parameter has a type
/// annotation.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not observe components",
    note = "annotate its parameter: `|position: &Position| [f32; N]` or \
            `|(position, speed): (&Position, &Speed)| [f32; N]`"
)]
pub trait Observe<Marker, const WIDTH: usize>: Send + Sync + 'static {
    /// The system that calls it for each row.
    fn system(self: Arc<Self>, world: &mut World, rows: &RowAccess) -> BoxedSystem;
}

/// A function that writes a row of a model's output to components, for [`ModelBuilder::act`](crate::ModelBuilder::act):
/// to `&mut A`, or a tuple of up to four references, `&mut` ones first.
///
/// `Marker` are the types of the components, which the compiler infers if the function's parameters have type
/// annotations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not act on components",
    note = "annotate its parameters, mutable ones first: `|output: &[f32], steering: &mut Steering| ...` or \
            `|output: &[f32], (speed, position): (&mut Speed, &Position)| ...`"
)]
pub trait Act<Marker>: Send + Sync + 'static {
    /// The system that calls it for each row.
    fn system(self: Arc<Self>, world: &mut World, rows: &RowAccess) -> BoxedSystem;
}

macro_rules! observe {
    ($marker:ty, $argument:ty, [$($component:ident),+]) => {
        impl<F, const WIDTH: usize, $($component: Component),+> Observe<$marker, WIDTH> for F
        where
            F: Fn($argument) -> [f32; WIDTH] + Send + Sync + 'static,
        {
            fn system(self: Arc<Self>, world: &mut World, rows: &RowAccess) -> BoxedSystem {
                let RowAccess { graph, field, rows } = *rows;
                let state = (
                    ParamBuilder::query::<&Topology>(),
                    ParamBuilder::query::<$marker>(),
                    field.write(),
                )
                    .build_state(world);
                let system = state.build_system(
                    move |topologies: Query<&Topology>, components: Query<$marker>, mut input: ColumnMut| {
                        let Ok(topology) = topologies.get(graph) else { return };
                        for (row, entity) in input.matrix().rows_mut().zip(rows(topology).entities()) {
                            match components.get(*entity) {
                                Ok(components) => row.copy_from_slice(&self(components)),
                                Err(_) => row.fill(0.0),
                            }
                        }
                    },
                );
                Box::new(system.with_name("observe"))
            }
        }
    };
}

observe!(&'static A, &A, [A]);
observe!((&'static A, &'static B), (&A, &B), [A, B]);
observe!((&'static A, &'static B, &'static C), (&A, &B, &C), [A, B, C]);
observe!((&'static A, &'static B, &'static C, &'static D), (&A, &B, &C, &D), [A, B, C, D]);
observe!((&'static A, &'static B, &'static C, &'static D, &'static E), (&A, &B, &C, &D, &E), [A, B, C, D, E]);
observe!(
    (&'static A, &'static B, &'static C, &'static D, &'static E, &'static G),
    (&A, &B, &C, &D, &E, &G),
    [A, B, C, D, E, G]
);

macro_rules! act {
    ($marker:ty, $argument:ty, $pattern:pat => $call:expr, [$($written:ident),+], [$($read:ident),*]) => {
        impl<F, $($written: Component<Mutability = Mutable>,)+ $($read: Component),*> Act<$marker> for F
        where
            F: Fn(&[f32], $argument) + Send + Sync + 'static,
        {
            fn system(self: Arc<Self>, world: &mut World, rows: &RowAccess) -> BoxedSystem {
                let RowAccess { graph, field, rows } = *rows;
                let state = (
                    ParamBuilder::query::<&Topology>(),
                    field.read(),
                    ParamBuilder::query::<$marker>(),
                )
                    .build_state(world);
                let system = state.build_system(
                    move |topologies: Query<&Topology>, output: Column, mut components: Query<$marker>| {
                        let Ok(topology) = topologies.get(graph) else { return };
                        for (row, entity) in output.matrix().rows().zip(rows(topology).entities()) {
                            if let Ok($pattern) = components.get_mut(*entity) {
                                self(row, $call);
                            }
                        }
                    },
                );
                Box::new(system.with_name("act"))
            }
        }
    };
}

act!(&'static mut A, &mut A, mut a => &mut a, [A], []);
act!((&'static mut A, &'static B), (&mut A, &B), (mut a, b) => (&mut *a, b), [A], [B]);
act!((&'static mut A, &'static mut B), (&mut A, &mut B), (mut a, mut b) => (&mut *a, &mut *b), [A, B], []);
act!((&'static mut A, &'static B, &'static C), (&mut A, &B, &C), (mut a, b, c) => (&mut *a, b, c), [A], [B, C]);
act!(
    (&'static mut A, &'static mut B, &'static C),
    (&mut A, &mut B, &C),
    (mut a, mut b, c) => (&mut *a, &mut *b, c),
    [A, B],
    [C]
);
act!(
    (&'static mut A, &'static mut B, &'static mut C),
    (&mut A, &mut B, &mut C),
    (mut a, mut b, mut c) => (&mut *a, &mut *b, &mut *c),
    [A, B, C],
    []
);
act!(
    (&'static mut A, &'static B, &'static C, &'static D),
    (&mut A, &B, &C, &D),
    (mut a, b, c, d) => (&mut *a, b, c, d),
    [A],
    [B, C, D]
);
act!(
    (&'static mut A, &'static mut B, &'static C, &'static D),
    (&mut A, &mut B, &C, &D),
    (mut a, mut b, c, d) => (&mut *a, &mut *b, c, d),
    [A, B],
    [C, D]
);
