//! Components of the user's as inputs, targets and outputs of a model.

use bevy_ecs::{
    component::ComponentId,
    schedule::{IntoScheduleConfigs, Schedule, SystemSet},
    system::{BoxedSystem, SystemParamBuilder},
    world::World,
};
use connectome_components::{Column, ColumnMut, Features, Field, FieldError};
use core::any::type_name;
use std::sync::Arc;

use super::closures::RowAccess;
use crate::GraphSystems;

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

/// When components are copied: after the user's systems in [`GraphSystems::Observe`], and before those in
/// [`GraphSystems::Act`], so that neither needs an order against the copies.
#[derive(SystemSet, Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CopySystems {
    In,
    /// One after the other, for several may write one component.
    Out(usize),
}

/// Adds the systems that copy components into the fields of a model.
pub(super) fn add_copies_in(
    world: &mut World,
    schedule: &mut Schedule,
    copies: &[CopyIn],
    learns: bool,
) -> Result<(), FieldError> {
    schedule.configure_sets(CopySystems::In.after(GraphSystems::Observe).before(GraphSystems::Forward));
    for copy in copies {
        let system = match copy {
            CopyIn::Component { is_target: true, .. } if !learns => continue,
            CopyIn::Component { binding, copied, .. } => (binding.copy_in)(world, *copied)?,
            CopyIn::Observed { observe, rows } => observe(world, rows),
        };
        schedule.add_systems(system.in_set(CopySystems::In));
    }
    Ok(())
}

/// Adds the systems that bring the output of a model into components.
pub(super) fn add_copies_out(
    world: &mut World,
    schedule: &mut Schedule,
    written: Option<(ComponentBinding, Copied)>,
    actors: &[RowSystem],
    rows: &RowAccess,
) -> Result<(), FieldError> {
    let copy = written.map(|(binding, copied)| (binding.copy_out)(world, copied)).transpose()?;
    let systems: Vec<BoxedSystem> = copy.into_iter().chain(actors.iter().map(|act| act(world, rows))).collect();
    for (number, system) in systems.into_iter().enumerate() {
        let set = CopySystems::Out(number);
        schedule.configure_sets(set.after(GraphSystems::Commit).before(GraphSystems::Act));
        if let Some(before) = number.checked_sub(1) {
            schedule.configure_sets(set.after(CopySystems::Out(before)));
        }
        schedule.add_systems(system.in_set(set));
    }
    Ok(())
}
