//! User-defined components as rows of features.

use bevy_ecs::{
    component::{Component, ComponentId, Mutable},
    world::World,
};
use bytemuck::Pod;
use core::slice;

use crate::{Field, FieldError};

/// A component that a model can read or write: a row of [`Features::WIDTH`] values for each entity.
///
/// Implemented for every component that is `Pod`, such as a `#[repr(C)]` struct of `f32`s or of vectors of them. Its
/// column is the matrix; nothing is copied. For other components derive it (`#[derive(Features)]` of crate
/// `connectome`); a system then copies their values before or after each step.
///
/// The component's default is inserted into entities that lack it, so that each row has one.
///
/// ```
/// use bevy_ecs::prelude::*;
/// use bytemuck::{Pod, Zeroable};
/// use connectome_components::Features;
///
/// #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
/// #[repr(C)]
/// struct Motion {
///     position: [f32; 2],
///     speed: f32,
/// }
///
/// let mut row = [0.0; Motion::WIDTH];
/// Motion { position: [1.0, 2.0], speed: 3.0 }.read(&mut row);
/// assert_eq!(row, [1.0, 2.0, 3.0]);
/// ```
pub trait Features: Component<Mutability = Mutable> + Default {
    /// Number of features.
    const WIDTH: usize;

    /// Copies the component to a row, `[WIDTH]`.
    fn read(&self, row: &mut [f32]);

    /// Sets the component to the values of a row, `[WIDTH]`.
    fn write(&mut self, row: &[f32]);

    /// The column of the component as a field, for the entities that carry the component `domain`; none if the values
    /// have to be copied.
    ///
    /// # Errors
    /// Those of [`Field::from_f32s`].
    fn column(world: &mut World, domain: ComponentId) -> Result<Option<Field>, FieldError> {
        let _ = (world, domain);
        Ok(None)
    }
}

impl<T: Component<Mutability = Mutable> + Default + Pod> Features for T {
    // Rounded up, so that it is not 0 for a component of fewer bytes, whose size `column` reports as an error.
    const WIDTH: usize = size_of::<T>().div_ceil(size_of::<f32>());

    fn read(&self, row: &mut [f32]) {
        if let Ok(values) = bytemuck::try_cast_slice(slice::from_ref(self)) {
            row.copy_from_slice(values);
        }
    }

    fn write(&mut self, row: &[f32]) {
        if let Ok(values) = bytemuck::try_cast_slice_mut(slice::from_mut(self)) {
            values.copy_from_slice(row);
        }
    }

    fn column(world: &mut World, domain: ComponentId) -> Result<Option<Field>, FieldError> {
        Field::from_f32s::<T>(world, domain).map(Some)
    }
}
