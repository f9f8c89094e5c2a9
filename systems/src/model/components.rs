//! Components of the user's as inputs, targets and outputs of a model.

use bevy_ecs::{
    component::ComponentId,
    entity::Entity,
    schedule::{IntoScheduleConfigs, Schedule, ScheduleConfigs},
    system::{BoxedSystem, ScheduleSystem, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, ColumnMut, Features, Field, FieldError};
use core::any::type_name;
use std::sync::Arc;

use super::closures::RowAccess;
use crate::{error::BuildError, phases::Sets, program::Domain};

/// A component type as rows of numbers, without the type.
#[derive(Clone, Copy, Debug)]
pub(super) struct ComponentBinding {
    pub(super) name: &'static str,
    /// Numbers in a row.
    pub(super) width: usize,
    /// The component's own column, if its numbers need not be copied.
    pub(super) column: fn(&mut World, ComponentId) -> Result<Option<Field>, FieldError>,
    copy_in: fn(&mut World, Copied) -> Result<BoxedSystem, FieldError>,
    copy_out: fn(&mut World, Copied) -> Result<BoxedSystem, FieldError>,
}

/// The field from or to which a component is copied, and the component whose carriers have both.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) field: Field,
    pub(super) domain: ComponentId,
}

impl ComponentBinding {
    pub(super) fn of<T: Features>() -> Self {
        let name = type_name::<T>();
        Self {
            name: name.rsplit("::").next().unwrap_or(name),
            width: T::WIDTH,
            column: T::column,
            copy_in: copy_in::<T>,
            copy_out: copy_out::<T>,
        }
    }
}

/// Components become rows.
fn copy_in<T: Features>(world: &mut World, Copied { field, domain }: Copied) -> Result<BoxedSystem, FieldError> {
    let components = Field::<T>::of_component(world, domain)?;
    let state = (components.read(), field.write()).build_state(world);
    let system = state.build_system(|components: Column<T>, mut rows: ColumnMut| {
        for (row, component) in rows.matrix().rows_mut().zip(components.matrix().rows()) {
            component.iter().for_each(|component| component.read(row));
        }
    });
    Ok(Box::new(system.with_name("read_features")))
}

/// Rows become components, which have changed then.
fn copy_out<T: Features>(world: &mut World, Copied { field, domain }: Copied) -> Result<BoxedSystem, FieldError> {
    let components = Field::<T>::of_component(world, domain)?;
    let state = (field.read(), components.write()).build_state(world);
    let system = state.build_system(|rows: Column, mut components: ColumnMut<T>| {
        for (component, row) in components.matrix().rows_mut().zip(rows.matrix().rows()) {
            component.iter_mut().for_each(|component| component.write(row));
        }
        components.set_changed();
    });
    Ok(Box::new(system.with_name("write_features")))
}

/// What is copied into fields of a model before it computes.
#[derive(Clone)]
pub(super) enum CopyIn {
    /// A component; `is_target` if only learning and measuring read it.
    Component { binding: ComponentBinding, copied: Copied, is_target: bool },
    /// What a function makes of components.
    Observed { observe: RowSystem, rows: RowAccess },
}

/// Makes a system that goes through rows.
pub(super) type RowSystem = Arc<dyn Fn(&mut World, &RowAccess) -> BoxedSystem + Send + Sync>;

/// What is copied between components of the user's and the fields of a model, around each of its steps.
#[derive(Clone)]
pub(super) struct Copies {
    pub(super) graph: Entity,
    /// The rows of the output.
    pub(super) domain: Domain,
    pub(super) into_fields: Vec<CopyIn>,
    /// The component that the output is copied to.
    pub(super) written: Option<ComponentBinding>,
    /// What brings the output into components.
    pub(super) actors: Vec<RowSystem>,
}

impl Copies {
    /// Adds the systems that copy, in and out; `output` is that of the schedule. They run after the user's systems in
    /// [`GraphSystems::Observe`](crate::GraphSystems::Observe), and before those in
    /// [`GraphSystems::Act`](crate::GraphSystems::Act), so that neither needs an order against the copies.
    pub(super) fn add(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        sets: Sets,
        output: Field,
        learns: bool,
    ) -> Result<(), BuildError> {
        for copy in &self.into_fields {
            let system = match copy {
                CopyIn::Component { is_target: true, .. } if !learns => continue,
                CopyIn::Component { binding, copied, .. } => (binding.copy_in)(world, *copied)?,
                CopyIn::Observed { observe, rows } => observe(world, rows),
            };
            schedule.add_systems(system.in_set(sets.copies_in()));
        }
        let rows = RowAccess::new(self.graph, output, self.domain);
        let copied = Copied { field: output, domain: output.domain() };
        let copy = self.written.map(|binding| (binding.copy_out)(world, copied)).transpose()?;
        let systems = copy.into_iter().chain(self.actors.iter().map(|act| act(world, &rows)));
        // One after the other, for several may write one component.
        let mut chained: Option<ScheduleConfigs<ScheduleSystem>> = None;
        for system in systems {
            chained = Some(match chained {
                Some(before) => (before, system).chain(),
                None => system.into_configs(),
            });
        }
        if let Some(systems) = chained {
            schedule.add_systems(systems.in_set(sets.copies_out()));
        }
        Ok(())
    }
}
