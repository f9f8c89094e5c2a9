//! Errors of fields.

use bevy_ecs::entity::Entity;

/// A field cannot be registered, attached or accessed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// The width is 0.
    #[error("field `{name}` has width 0; give it a width of at least 1")]
    ZeroWidth {
        /// The field's name.
        name: String,
    },
    /// A row is larger than the address space.
    #[error("a row of field `{name}`, of width {width}, exceeds the address space; reduce the width of the layer")]
    TooWide {
        /// The field's name.
        name: String,
        /// The width.
        width: usize,
    },
    /// A component in sparse-set storage has no column.
    #[error("component `{name}` is in sparse-set storage and has no column; use table storage")]
    NotInTable {
        /// The component's name.
        name: String,
    },
    /// A component is not made of `f32`s alone.
    #[error(
        "component `{name}` of size {size} and alignment {alignment} is not a sequence of `f32`s aligned to 4 to 64 \
         bytes; make all its members `f32`, or use it as one element by `Field::of_component`"
    )]
    NotNumbers {
        /// The component's name.
        name: String,
        /// Its size in bytes.
        size: usize,
        /// Its alignment in bytes.
        alignment: usize,
    },
    /// New entities need a component without a registered default.
    #[error("new entities need a component `{name}`, but it has no default; call `register_default` for its type")]
    NoDefault {
        /// The component's name.
        name: String,
    },
    /// The entity is dead or lacks the field.
    #[error(
        "entity {entity} has no field `{name}`; use a living entity, and run a schedule of the graph after spawning it"
    )]
    NotOnEntity {
        /// The entity.
        entity: Entity,
        /// The field's name.
        name: String,
    },
    /// The slice does not fit the row or the column.
    #[error("field `{name}` takes {expected} values here, not {found}; pass a slice of that length")]
    WrongLength {
        /// The field's name.
        name: String,
        /// The length of the row or column.
        expected: usize,
        /// The length of the slice.
        found: usize,
    },
}
