//! What is to be transported.

use super::TransportError;

/// A cost and the masses at its rows and columns.
///
/// Costs may be negative. Masses may be 0, but not all of them. Where the plan is to have both marginals, their totals
/// are equal up to rounding, 1e-4 of the larger.
#[derive(Clone, Copy, Debug)]
pub struct Problem<'a> {
    /// `C`, `[n, m]`, row-major.
    pub cost: &'a [f32],
    /// `p`, the mass of each row, `[n]`.
    pub source: &'a [f32],
    /// `q`, the mass of each column, `[m]`.
    pub target: &'a [f32],
}

impl Problem<'_> {
    /// The number of rows and that of columns.
    pub fn shape(&self) -> [usize; 2] {
        [self.source.len(), self.target.len()]
    }

    /// The total masses of the rows and of the columns.
    pub fn totals(&self) -> [f64; 2] {
        [self.source, self.target].map(total)
    }

    /// The cost in 64 bits, which solvers compute with.
    pub(super) fn wide_cost(&self) -> Vec<f64> {
        self.cost.iter().map(|cost| f64::from(*cost)).collect()
    }

    /// `<C, T>` in the order of rows.
    pub(super) fn value(&self, plan: &[f32]) -> f64 {
        self.cost.iter().zip(plan).map(|(cost, mass)| f64::from(*cost) * f64::from(*mass)).sum()
    }

    /// Checks shapes and numbers.
    pub(super) fn check(&self) -> Result<(), TransportError> {
        check_masses(self.source, self.target)?;
        check_matrix("the cost", self.cost, self.shape())
    }

    /// Checks shapes, numbers, and that both totals are one.
    pub(super) fn check_balanced(&self) -> Result<(), TransportError> {
        self.check()?;
        check_totals(self.source, self.target)
    }

    /// Checks the part of the mass that is to be transported; returns at most what there is.
    pub(super) fn check_part(&self, mass: f64) -> Result<f64, TransportError> {
        self.check()?;
        let [source, target] = self.totals();
        let largest = source.min(target);
        // Totals of rounded masses may be a little less than they are meant to be.
        if mass > 0.0 && mass <= largest * (1.0 + 1e-6) {
            return Ok(mass.min(largest));
        }
        Err(TransportError::Part { found: mass, largest })
    }
}

/// The sum of masses, in order.
pub(super) fn total(masses: &[f32]) -> f64 {
    masses.iter().map(|mass| f64::from(*mass)).sum()
}

/// Checks that a matrix has this shape and is finite.
pub(super) fn check_matrix(
    name: &'static str,
    matrix: &[f32],
    [rows, columns]: [usize; 2],
) -> Result<(), TransportError> {
    check_length(name, matrix.len(), rows.saturating_mul(columns))?;
    match matrix.iter().position(|value| !value.is_finite()) {
        Some(index) => {
            let (row, column) = (index / columns, index % columns);
            Err(TransportError::NotFinite { name, row, column, value: matrix[index] })
        }
        None => Ok(()),
    }
}

/// Checks the length of an array.
pub(super) fn check_length(name: &'static str, found: usize, expected: usize) -> Result<(), TransportError> {
    if found == expected { Ok(()) } else { Err(TransportError::Length { name, found, expected }) }
}

/// Checks that there are rows and columns with masses that are finite and not negative, and on each side one above 0.
pub(super) fn check_masses(source: &[f32], target: &[f32]) -> Result<(), TransportError> {
    let (rows, columns) = (source.len(), target.len());
    if rows == 0 || columns == 0 {
        return Err(TransportError::Empty { rows, columns });
    }
    for (name, masses) in [("the source", source), ("the target", target)] {
        if let Some(index) = masses.iter().position(|mass| !(mass.is_finite() && *mass >= 0.0)) {
            return Err(TransportError::Mass { name, index, value: masses[index] });
        }
        if masses.iter().all(|mass| *mass == 0.0) {
            return Err(TransportError::NoMass { name });
        }
    }
    Ok(())
}

/// Checks that the masses have one total, up to rounding.
pub(super) fn check_totals(source: &[f32], target: &[f32]) -> Result<(), TransportError> {
    let [source_mass, target_mass] = [source, target].map(total);
    if (source_mass - target_mass).abs() <= 1e-4 * source_mass.max(target_mass) {
        return Ok(());
    }
    Err(TransportError::Unbalanced { source_mass, target_mass })
}

/// Checks a setting that must be positive and finite.
pub(super) fn check_positive(setting: &'static str, value: f32) -> Result<(), TransportError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(TransportError::Setting { setting, value: value.into(), expected: "a finite number above 0" })
}
