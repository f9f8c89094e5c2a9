//! How a layer comes by its parameters.

use bevy_ecs::{component::ComponentId, name::Name, world::World};
use connectome_components::{Field, FieldError, Optimizer, Parameter, TensorLayout};

use super::{BuildError, LayerBuilder};
use crate::random::Philox;

/// Random numbers with this purpose and above initialise parameters; those below belong to layers.
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

impl LayerBuilder<'_> {
    /// A parameter of the layer `[rows, columns]`, known by its name: an entity of its own. Weight files hold it in the
    /// shape `stored`.
    ///
    /// # Errors
    /// If it is too large to be addressed.
    pub fn parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        stored: TensorLayout,
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let optimizer = self.parts.optimizer;
        self.add_parameter(name, shape, stored, initialization, weight_decay, optimizer)
    }

    /// The weights of a linear map, `[inputs, outputs]`; `[outputs, inputs]` in files.
    ///
    /// # Errors
    /// If they are too many to be addressed.
    pub fn weight(
        &mut self,
        name: &str,
        shape: [usize; 2],
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let stored = TensorLayout { shape: vec![shape[1], shape[0]], transposed: true };
        self.parameter(name, shape, stored, Initialization::Glorot, weight_decay)
    }

    /// A vector of `width` numbers, such as a bias.
    ///
    /// # Errors
    /// If it is too long to be addressed.
    pub fn vector(
        &mut self,
        name: &str,
        width: usize,
        initialization: Initialization,
        weight_decay: Option<f32>,
    ) -> Result<Parameter, BuildError> {
        let stored = TensorLayout { shape: vec![width], transposed: false };
        self.parameter(name, [1, width], stored, initialization, weight_decay)
    }

    /// A vector of `width` numbers that is saved with the weights but not learned, such as running statistics.
    ///
    /// # Errors
    /// If it is too long to be addressed.
    pub fn statistics(
        &mut self,
        name: &str,
        width: usize,
        initialization: Initialization,
    ) -> Result<Parameter, BuildError> {
        let stored = TensorLayout { shape: vec![width], transposed: false };
        self.add_parameter(name, [1, width], stored, initialization, None, None)
    }

    fn add_parameter(
        &mut self,
        name: &str,
        shape: [usize; 2],
        stored: TensorLayout,
        initialization: Initialization,
        weight_decay: Option<f32>,
        optimizer: Option<Optimizer>,
    ) -> Result<Parameter, BuildError> {
        let path = self.frames.last().map_or("", |frame| &frame.path);
        let name = format!("{path}.{name}");
        if let Some((_, parameter)) = self.parts.parameters.iter().find(|(_, parameter)| parameter.name == name) {
            return Ok(parameter.clone());
        }
        if shape.contains(&0) {
            return Err(self.refuse_setting("width", "has width 0; a layer is at least 1 wide"));
        }
        if weight_decay.is_some_and(|decay| !(decay.is_finite() && decay >= 0.0)) {
            let reason = format!(
                "has the weight decay {}; write a finite number that is not negative",
                weight_decay.unwrap_or_default()
            );
            return Err(self.refuse_setting("weight_decay", reason));
        }
        let copies = optimizer.map_or(1, |optimizer| 2 + optimizer.moments());
        let size = shape[0].saturating_mul(shape[1]);
        self.charge(copies, size)?;
        let planned_on = self.parts.room.map(|_| self.parts.rows.nodes);
        let (value, learned) = parameter_fields(self.world, &name, size, optimizer, planned_on)?;
        let (gradient, moments) = learned.unzip();
        let parameter = Parameter { name: name.clone(), shape, layout: stored, value, gradient, moments, weight_decay };
        let entity = self.world.spawn((Name::new(name), parameter.clone())).id();
        if planned_on.is_none() {
            let fields: Vec<Field> = [Some(value), gradient, moments].into_iter().flatten().collect();
            Field::insert_into(self.world, entity, &fields)?;
        }
        let number = self.parts.parameters.len() as u32;
        let random = Philox::new(self.parts.seed, PARAMETERS + number, 0);
        let bound = match initialization {
            Initialization::Constant(_) => 0.0,
            Initialization::Glorot => (6.0 / (shape[0] + shape[1]) as f64).sqrt() as f32,
            Initialization::Uniform(bound) => bound,
        };
        for row in value.matrix_mut(self.world).rows_mut() {
            match initialization {
                Initialization::Constant(number) => row.fill(number),
                Initialization::Glorot | Initialization::Uniform(_) => {
                    random.fill_uniform(row);
                    row.iter_mut().for_each(|weight| *weight = bound * (2.0 * *weight - 1.0));
                }
            }
        }
        self.parts.parameters.push((entity, parameter.clone()));
        Ok(parameter)
    }
}

/// The value of a parameter; and if it learns, its gradient and the optimizer's moments. In a model that is only planned
/// they are fields of nodes, of which there are none: so they take no memory.
fn parameter_fields(
    world: &mut World,
    name: &str,
    size: usize,
    optimizer: Option<Optimizer>,
    planned_on: Option<ComponentId>,
) -> Result<(Field, Option<(Field, Field)>), FieldError> {
    let mut field = |part: &str, width| {
        let name = format!("{name}.{part}");
        match planned_on {
            Some(nodes) => Field::register(world, &name, nodes, width),
            None => Field::register_detached(world, &name, width),
        }
    };
    let value = field("value", size)?;
    let Some(optimizer) = optimizer else { return Ok((value, None)) };
    let moments = size.saturating_mul(optimizer.moments());
    Ok((value, Some((field("gradient", size)?, field("moments", moments)?))))
}
