//! How layers ask for parameters.

use connectome_components::TensorLayout;

use super::{Domain, Program, Shape, Value, ValueKind, Weight};
use crate::{error::BuildError, random::Philox};

/// Random streams from this one on initialize parameters; those below belong to operations.
const PARAMETERS: u32 = 1 << 16;

/// How weights begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Initialization {
    /// All the same, as biases begin with 0 and scales with 1.
    Constant(f32),
    /// Uniform within `sqrt(6 / (rows + columns))` on either side of 0 (Glorot & Bengio 2010, eq. 16).
    Glorot,
    /// Uniform within this bound on either side of 0.
    Uniform(f32),
}

impl Initialization {
    /// All 0.
    pub const ZEROS: Self = Self::Constant(0.0);
}

/// A parameter or a buffer of a program.
#[derive(Clone, Debug, PartialEq)]
pub struct ParameterDescription {
    /// Its name in weight files, such as `layers.1.weight`.
    pub name: String,
    /// Rows and columns; a bias has one row.
    pub shape: [usize; 2],
    /// How weight files hold it.
    pub layout: TensorLayout,
    /// How it begins.
    pub initialization: Initialization,
    /// Its weight decay; the optimizer's if none.
    pub weight_decay: Option<f32>,
    /// Whether it is learned; a buffer is not.
    pub is_learned: bool,
    /// The layer that asked for it first, counted from 0.
    pub layer: usize,
    pub(crate) weight: Weight,
}

impl ParameterDescription {
    /// How many elements it has.
    pub fn size(&self) -> usize {
        self.shape[0] * self.shape[1]
    }

    /// Writes its first values; `index` is its index among the parameters of the model.
    pub(crate) fn initialize(&self, seed: u64, index: u32, values: &mut [f32]) {
        let random = Philox::new(seed, PARAMETERS + index, 0);
        let [rows, columns] = self.shape;
        let bound = match self.initialization {
            Initialization::Constant(constant) => return values.fill(constant),
            Initialization::Glorot => (6.0 / (rows + columns) as f64).sqrt() as f32,
            Initialization::Uniform(bound) => bound,
        };
        random.fill_uniform(values);
        values.iter_mut().for_each(|weight| *weight = bound * (2.0 * *weight - 1.0));
    }
}

impl Program {
    /// A parameter of the present layer `[rows, columns]`, known by its name; the same one if it was asked for before.
    /// Weight files hold it in the shape `layout`.
    ///
    /// # Errors
    /// If it is empty, the weight decay is negative or not finite, or the [limits](super::ProgramLimits) of the program
    /// are exceeded.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        layout: TensorLayout,
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Weight, BuildError> {
        self.add_parameter(name, shape, layout, initialization, weight_decay, true)
    }

    /// A matrix `[rows, columns]` that is computed: all elements of a value with a single row.
    ///
    /// # Errors
    /// If the value has more rows, or other than so many elements.
    pub fn computed_weight(&self, value: Value, [rows, columns]: [usize; 2]) -> Result<Weight, BuildError> {
        if value.domain() == Domain::Single && rows.checked_mul(columns) == Some(value.width()) {
            return Ok(Weight { value, start: 0, rows, columns });
        }
        let found = value.shape();
        Err(self
            .error(format!("takes a value of shape {found} for a matrix of {rows} by {columns}; give it its elements")))
    }

    /// The weights of a linear map, `[inputs, outputs]`; `[outputs, inputs]` in files.
    ///
    /// # Errors
    /// As [`Program::parameter`].
    pub fn weight(&mut self, name: &str, shape: [usize; 2], weight_decay: Option<f32>) -> Result<Weight, BuildError> {
        let layout = TensorLayout { shape: vec![shape[1], shape[0]], transposed: true };
        self.parameter(name, shape, layout, Initialization::Glorot, weight_decay)
    }

    /// A vector of this width, such as a bias.
    ///
    /// # Errors
    /// As [`Program::parameter`].
    pub fn vector(
        &mut self,
        name: &str,
        width: usize,
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Weight, BuildError> {
        let layout = TensorLayout { shape: vec![width], transposed: false };
        self.parameter(name, [1, width], layout, initialization, weight_decay)
    }

    /// A vector of this width that is saved with the weights but not learned, such as running statistics.
    ///
    /// # Errors
    /// As [`Program::parameter`].
    pub fn buffer(&mut self, name: &str, width: usize, initialization: Initialization) -> Result<Weight, BuildError> {
        let layout = TensorLayout { shape: vec![width], transposed: false };
        self.add_parameter(name, [1, width], layout, initialization, None, false)
    }

    fn add_parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        layout: TensorLayout,
        initialization: Initialization,
        weight_decay: Option<f32>,
        is_learned: bool,
    ) -> Result<Weight, BuildError> {
        let name = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        if let Some(known) = self.parameter_indices.get(&name).map(|index| &self.parameters[*index]) {
            if known.shape != shape {
                let [rows, columns] = known.shape;
                let reason = format!(
                    "asks for the parameter {name} as {shape:?}, which is [{rows}, {columns}] already; give it one shape"
                );
                return Err(self.error(reason));
            }
            return Ok(known.weight);
        }
        if shape.contains(&0) {
            return Err(self.setting_error("width", "has width 0; a layer is at least 1 wide"));
        }
        if let Some(decay) = weight_decay.filter(|decay| !(decay.is_finite() && *decay >= 0.0)) {
            let reason = format!("has the weight decay {decay}; write a finite number that is not negative");
            return Err(self.setting_error("weight_decay", reason));
        }
        let size = self.check_parameter(shape)?;
        self.parameter_elements += size;
        let [rows, columns] = shape;
        let kind = ValueKind::Parameter(self.parameters.len());
        let value = self.add_value(kind, Shape::new(Domain::Single, size), is_learned);
        let weight = Weight { value, start: 0, rows, columns };
        let layer = self.layer;
        self.parameter_indices.insert(name.clone(), self.parameters.len());
        let description =
            ParameterDescription { name, shape, layout, initialization, weight_decay, is_learned, layer, weight };
        self.parameters.push(description);
        Ok(weight)
    }
}
