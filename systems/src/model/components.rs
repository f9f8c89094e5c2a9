//! User-defined components as inputs, targets and outputs of a model.

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

/// A type-erased component that implements [`Features`].
#[derive(Clone, Copy, Debug)]
pub(super) struct ComponentBinding {
    pub(super) name: &'static str,
    /// Number of features.
    pub(super) width: usize,
    /// The column of the component, if it need not be copied.
    pub(super) column: fn(&mut World, ComponentId) -> Result<Option<Field>, FieldError>,
    pub(super) copy_in: fn(&mut World, Copied) -> Result<BoxedSystem, FieldError>,
    copy_out: fn(&mut World, Copied) -> Result<BoxedSystem, FieldError>,
}

/// The field from or to which a component is copied, the domain of both, and the first of its columns in the field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Copied {
    pub(super) field: Field,
    pub(super) domain: ComponentId,
    pub(super) first: usize,
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

/// A system that copies components to rows.
fn copy_in<T: Features>(world: &mut World, Copied { field, domain, first }: Copied) -> Result<BoxedSystem, FieldError> {
    let components = Field::<T>::of_component(world, domain)?;
    let state = (components.read(), field.write()).build_state(world);
    let system = state.build_system(move |components: Column<T>, mut rows: ColumnMut| {
        for (row, component) in rows.matrix().rows_mut().zip(components.matrix().rows()) {
            component.iter().for_each(|component| component.read(&mut row[first..first + T::WIDTH]));
        }
    });
    Ok(Box::new(system.with_name("read_features")))
}

/// A system that copies rows to components and marks these as changed.
fn copy_out<T: Features>(
    world: &mut World,
    Copied { field, domain, first }: Copied,
) -> Result<BoxedSystem, FieldError> {
    let components = Field::<T>::of_component(world, domain)?;
    let state = (field.read(), components.write()).build_state(world);
    let system = state.build_system(move |rows: Column, mut components: ColumnMut<T>| {
        for (component, row) in components.matrix().rows_mut().zip(rows.matrix().rows()) {
            component.iter_mut().for_each(|component| component.write(&row[first..first + T::WIDTH]));
        }
        components.set_changed();
    });
    Ok(Box::new(system.with_name("write_features")))
}

/// A copy to a field of a model before the forward pass.
#[derive(Clone)]
pub(super) enum CopyIn {
    /// A component; `is_target` if only training and evaluation read it.
    Component { binding: ComponentBinding, copied: Copied, is_target: bool },
    /// The result of a function of components.
    Observed { observe: RowSystem, rows: RowAccess },
}

/// Creates a system that iterates over rows.
pub(super) type RowSystem = Arc<dyn Fn(&mut World, &RowAccess) -> BoxedSystem + Send + Sync>;

/// The copies between user-defined components and fields of a model in each of its steps.
#[derive(Clone)]
pub(super) struct Copies {
    pub(super) graph: Entity,
    /// The domain of the output.
    pub(super) domain: Domain,
    pub(super) into_fields: Vec<CopyIn>,
    /// The component to which the output is copied.
    pub(super) written: Option<ComponentBinding>,
    /// The functions that write the output to components.
    pub(super) actors: Vec<RowSystem>,
}

impl Copies {
    /// Adds the systems that copy in and out; `output` is that of the schedule. They run after the user's systems in
    /// [`GraphSystems::Observe`](crate::GraphSystems::Observe), and before those in
    /// [`GraphSystems::Act`](crate::GraphSystems::Act), so that these need no order against the copies.
    pub(super) fn add(
        &self,
        world: &mut World,
        schedule: &mut Schedule,
        sets: Sets,
        output: Field,
        has_targets: bool,
    ) -> Result<(), BuildError> {
        let mut systems = Vec::new();
        for copy in &self.into_fields {
            systems.push(match copy {
                CopyIn::Component { is_target: true, .. } if !has_targets => continue,
                CopyIn::Component { binding, copied, .. } => (binding.copy_in)(world, *copied)?,
                CopyIn::Observed { observe, rows } => observe(world, rows),
            });
        }
        // One after the other, because several may write the same field.
        if let Some(systems) = in_order(systems) {
            schedule.add_systems(systems.in_set(sets.copies_in()));
        }
        let rows = RowAccess::new(self.graph, output, self.domain);
        let copied = Copied { field: output, domain: output.domain(), first: 0 };
        let copy = self.written.map(|binding| (binding.copy_out)(world, copied)).transpose()?;
        let systems = copy.into_iter().chain(self.actors.iter().map(|act| act(world, &rows)));
        // One after the other, because several may write the same component.
        if let Some(systems) = in_order(systems) {
            schedule.add_systems(systems.in_set(sets.copies_out()));
        }
        Ok(())
    }
}

/// Systems one after the other; none if there are none.
fn in_order(systems: impl IntoIterator<Item = BoxedSystem>) -> Option<ScheduleConfigs<ScheduleSystem>> {
    systems.into_iter().map(IntoScheduleConfigs::into_configs).reduce(|before, system| (before, system).chain())
}
