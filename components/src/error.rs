//! What can go wrong when fields are made or read.

use bevy_ecs::entity::Entity;

/// A field could not be registered, attached or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The width is 0: a component without numbers has no column.
    #[error("field `{name}` has width 0; give it at least one number for each entity")]
    ZeroWidth {
        /// The field's name.
        name: String,
    },
    /// One row alone is larger than the address space.
    #[error("field `{name}` is {width} wide, more than memory can address; make the layer narrower")]
    TooWide {
        /// The field's name.
        name: String,
        /// The width asked for.
        width: usize,
    },
    /// A component in sparse-set storage has no column.
    #[error("component `{name}` is in sparse-set storage and has no column; use table storage")]
    NotInTable {
        /// The component's name.
        name: String,
    },
    /// A component whose bytes are not just `f32`s has no column of numbers.
    #[error(
        "component `{name}` of {size} bytes aligned to {alignment} is not one or several `f32`s, aligned as they are or \
         up to 64; build it of `f32`s, or take it whole by `Field::of_component`"
    )]
    NotNumbers {
        /// The component's name.
        name: String,
        /// Its size in bytes.
        size: usize,
        /// Its alignment in bytes.
        alignment: usize,
    },
    /// New entities were to be given a component that nobody knows how to make.
    #[error(
        "new entities need a component `{name}`, and nobody said how to make one; call `register_default` for its type"
    )]
    NoDefault {
        /// The component's name.
        name: String,
    },
    /// The entity does not exist or lacks the field.
    #[error(
        "entity {entity} has no field `{name}`; is it alive, and was the graph's schedule run since it was spawned?"
    )]
    NotOnEntity {
        /// The entity asked for.
        entity: Entity,
        /// The field's name.
        name: String,
    },
    /// The numbers do not fit the row or the column.
    #[error("field `{name}` takes {expected} numbers here, not {found}")]
    WrongLength {
        /// The field's name.
        name: String,
        /// Numbers that the row or column holds.
        expected: usize,
        /// Numbers given.
        found: usize,
    },
}
