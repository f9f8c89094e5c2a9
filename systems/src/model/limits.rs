//! The rows that a training step computes of a sample.

use bevy_ecs::{
    component::ComponentId,
    entity::Entity,
    system::{BoxedSystem, ParamBuilder, Query, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, Field, Split, Topology};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crate::{
    error::BuildError,
    program::{Extent, Pass, Plan, extents},
};

/// The rows of the operations of training on a sample, as far as its seeds need them.
#[derive(Debug)]
pub(super) struct Limits {
    /// Those of the operations of each pass.
    extents: [Vec<Extent>; 2],
    graph: Entity,
    /// The splits of the nodes.
    splits: Field<Split>,
    /// Whether the present step has them.
    apply: AtomicBool,
}

impl Limits {
    /// Those of a training plan; none if all operations have all rows. `counts_splits` says of each head whether its loss
    /// counts rows by their splits.
    ///
    /// # Errors
    /// If nodes cannot have splits.
    pub(super) fn new(
        world: &mut World,
        plan: &Plan,
        nodes: ComponentId,
        counts_splits: impl Fn(usize) -> bool,
    ) -> Result<Option<Arc<Self>>, BuildError> {
        let (Some(extents), Some(graph)) = (extents(plan, counts_splits), plan.program.graphs.first()) else {
            return Ok(None);
        };
        let splits = Field::of_component(world, nodes)?;
        Ok(Some(Arc::new(Self { extents, graph: *graph, splits, apply: AtomicBool::new(false) })))
    }

    /// The rows of the operations of a pass.
    pub(super) fn extents(&self, pass: Pass) -> &[Extent] {
        match pass {
            Pass::Forward => &self.extents[0],
            Pass::Backward => &self.extents[1],
        }
    }

    /// Whether the present step is limited.
    pub(super) fn apply(&self) -> bool {
        self.apply.load(Ordering::Relaxed)
    }

    /// The system that limits a step if the graph holds a sample of whose nodes the losses count seeds alone.
    pub(super) fn system(self: &Arc<Self>, world: &mut World) -> BoxedSystem {
        let limits = self.clone();
        let state = (self.splits.read(), ParamBuilder::query::<&Topology>()).build_state(world);
        let system = state.build_system(move |splits: Column<Split>, topologies: Query<&Topology>| {
            let topology = topologies.get(limits.graph).ok().filter(|topology| !topology.hops.is_empty());
            let counts_others = |seeds: u32| {
                let splits = splits.matrix();
                let others = |(start, rows): (usize, &[Split])| {
                    rows.iter().skip((seeds as usize).saturating_sub(start)).any(|split| *split == Split::Train)
                };
                splits.chunks().any(others)
            };
            let seeds = topology.and_then(|topology| topology.seeds);
            limits.apply.store(seeds.is_some_and(|seeds| !counts_others(seeds)), Ordering::Relaxed);
        });
        Box::new(system.with_name("limit_rows"))
    }
}
