//! What is wrong with a problem of optimal transport.

/// Why a plan cannot be computed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum TransportError {
    /// There are no rows or no columns.
    #[error("there is nothing to transport: the cost is [{rows}, {columns}]; give at least one row and one column")]
    Empty {
        /// Rows of the cost.
        rows: usize,
        /// Columns of the cost.
        columns: usize,
    },
    /// An array has another length than the others demand.
    #[error("{name} has {found} elements where {expected} are expected; give one for each")]
    Length {
        /// The array.
        name: &'static str,
        /// Its length.
        found: usize,
        /// The length that fits.
        expected: usize,
    },
    /// An element is NaN or infinite.
    #[error("{name} has {value} at row {row}, column {column}; give finite numbers")]
    NotFinite {
        /// The array.
        name: &'static str,
        /// The row of the element.
        row: usize,
        /// The column of the element.
        column: usize,
        /// The element.
        value: f32,
    },
    /// A mass is negative or not finite.
    #[error("{name} has the mass {value} at index {index}; give finite masses that are not negative")]
    Mass {
        /// The array.
        name: &'static str,
        /// The index of the mass.
        index: usize,
        /// The mass.
        value: f32,
    },
    /// All masses are 0.
    #[error("{name} has no mass; give at least one that is positive")]
    NoMass {
        /// The array.
        name: &'static str,
    },
    /// What leaves the rows is not what arrives at the columns.
    #[error(
        "the rows have the mass {source_mass} and the columns {target_mass}; scale them to one total, or transport a \
         part"
    )]
    Unbalanced {
        /// The total of the rows.
        source_mass: f64,
        /// The total of the columns.
        target_mass: f64,
    },
    /// A part of the mass is more than there is, or negative.
    #[error("the mass {found} cannot be transported; give one above 0 and at most {largest}")]
    Part {
        /// The mass.
        found: f64,
        /// The smaller of both totals.
        largest: f64,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}; give {expected}")]
    Setting {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: f64,
        /// What it may be.
        expected: &'static str,
    },
    /// Weights are so large that their squares are not finite.
    #[error("the value of the plan is not finite; scale features and adjacencies down")]
    Overflow,
    /// The plan was not reached within the rounds allowed.
    #[error(
        "the plan did not converge within {rounds} rounds: its value is {value}, its gap {gap}; allow more rounds or \
         a larger tolerance"
    )]
    NotConverged {
        /// The rounds that were run.
        rounds: usize,
        /// The value of the plan so far.
        value: f64,
        /// How far it is from the optimum, in the measure of the method.
        gap: f64,
    },
}
