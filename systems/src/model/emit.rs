//! Emission of the operations of a plan as systems of a schedule.

use bevy_ecs::{
    entity::Entity,
    system::{BoxedSystem, Local, ParamBuilder, Query, Res, SystemParamBuilder},
    world::World,
};
use connectome_components::{
    ColumnSet, Columns, Direction, FeatureField, Field, Graph, Model, Topology, TrainingState,
};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::{limits::Limits, timings::Readings};
use crate::{
    error::{BuildError, StepFault},
    parallel::Workers,
    phases::{Sets, model_query},
    program::{Column, Compiled, Extent, Operation, Pass, Plan, Run, Value},
};

/// The fields of the values of a plan in a world.
#[derive(Clone, Debug)]
pub(super) struct Bindings {
    pub(super) model: Entity,
    pub(super) graphs: Vec<Entity>,
    /// The inputs.
    pub(super) inputs: Vec<FeatureField>,
    /// The values of each parameter.
    pub(super) parameters: Vec<Field>,
    /// The gradient with respect to each parameter, if it is trained.
    pub(super) gradients: Vec<Option<Field>>,
    /// The columns of the model's layout.
    pub(super) columns: Vec<Field>,
    /// For each column, whether its constant value was computed; until then it holds values of a previous owner.
    pub(super) settled: Vec<Arc<AtomicBool>>,
    /// The column of a user-defined component, which is marked as changed.
    pub(super) written: Option<Field>,
    /// The rows of the graphs.
    pub(super) rows: Vec<Graph>,
    /// Receives the error if the rows have changed.
    pub(super) fault: StepFault,
    /// Whether all rows are compared with those of the topology.
    pub(super) is_watched: Arc<AtomicBool>,
}

impl Bindings {
    /// The field of a column.
    pub(super) fn field(&self, column: Column) -> Option<Field> {
        match column {
            Column::Input(input) => self.inputs.get(input).map(FeatureField::values),
            Column::Parameter(parameter) => self.parameters.get(parameter).copied(),
            Column::ParameterGradient(parameter) => self.gradients.get(parameter).copied().flatten(),
            Column::Layout(column) => self.columns.get(column).copied(),
        }
    }
}

/// A system that runs the operations of a pass one after another, and distributes the rows of each over the workers.
///
/// To the scheduler it is one access to all columns that they read and write, against which other systems are checked.
/// The order of the operations is that of the plan, in which no operation reads a column that it writes. A system for
/// each operation would cost the scheduler more to build, quadratically, than the operations cost to plan.
pub(super) struct Emission<'a> {
    pub(super) plan: &'a Plan,
    pub(super) bindings: &'a Bindings,
    /// The rows of the operations in a step on a sample, if they do not need all.
    pub(super) limits: Option<&'a Arc<Limits>>,
    /// Records the start of each operation, if timings were added.
    pub(super) readings: &'a Readings,
    pub(super) sets: Sets,
}

impl Emission<'_> {
    /// The system of a pass; none if it has no operations.
    ///
    /// # Errors
    /// If an operation reads or writes a value that has no column.
    pub(super) fn system(&self, world: &mut World, pass: Pass) -> Result<Option<BoxedSystem>, BuildError> {
        let operations = self.plan.operations(pass);
        if operations.is_empty() {
            return Ok(None);
        }
        let mut set = ColumnSet::default();
        let extents = self.limits.map(|limits| limits.extents(pass));
        let compile = |(index, operation)| {
            let extent = extents.and_then(|extents| extents.get(index).copied());
            self.compile(operation, extent, &mut set).ok_or_else(|| without_column(operation))
        };
        let compiled: Vec<Compiled> = operations.iter().enumerate().map(compile).collect::<Result<_, _>>()?;
        let written = self.bindings.written.filter(|_| pass == Pass::Forward).map(|written| set.write(written));
        let (model, graphs, readings) = (self.bindings.model, self.bindings.graphs.clone(), self.readings.clone());
        let (rows, fault) = (self.bindings.rows.clone(), self.bindings.fault.clone());
        let directions: Vec<(usize, Direction)> =
            compiled.iter().filter_map(|operation| Some((operation.graph, operation.direction()?))).collect();
        let (is_watched, sets) = (self.bindings.is_watched.clone(), self.sets);
        let limits = self.limits.cloned();
        let state = (
            set,
            ParamBuilder::query::<&Topology>(),
            model_query::<(&Model, Option<&TrainingState>)>(world, model),
            ParamBuilder::resource::<Workers>(),
            ParamBuilder::local::<Vec<f32>>(),
        )
            .build_state(world);
        let system = state.build_system(
            move |mut columns: Columns,
                  topologies: Query<&Topology>,
                  models: Query<(&Model, Option<&TrainingState>)>,
                  workers: Res<Workers>,
                  mut scratch: Local<Vec<f32>>| {
                // Without the model its columns may belong to another model.
                let Ok((_, state)) = models.get(model) else { return };
                let exactly = is_watched.load(Ordering::Relaxed) || matches!(sets, Sets::Shared(_));
                for (graph, rows) in graphs.iter().zip(&rows) {
                    let Ok(topology) = topologies.get(*graph) else { return };
                    if !columns.follow(rows, topology, exactly) {
                        return fault.set(BuildError::ChangedRows(*graph));
                    }
                    if let Some([one, other]) = topology.same_keys {
                        return fault.set(BuildError::SameKeys { graph: *graph, one, other });
                    }
                }
                for (graph, direction) in &directions {
                    let cycle = topologies.get(graphs[*graph]).ok().and_then(|topology| topology.cycle(*direction));
                    if let Some(cycle) = cycle.cloned() {
                        return fault.set(BuildError::Cycle { graph: graphs[*graph], cycle });
                    }
                }
                let is_limited = limits.as_ref().is_some_and(|limits| limits.apply());
                let random = state.map_or((0, 0), |state| (state.seed, state.micro_step()));
                for (index, operation) in compiled.iter().enumerate() {
                    if index > 0 {
                        readings.read(false);
                    }
                    let Ok(topology) = topologies.get(graphs[operation.graph]) else { return };
                    operation.run(&mut columns, topology, &workers, random, &mut scratch, is_limited);
                }
                written.into_iter().for_each(|written| columns.set_changed(written));
            },
        );
        let name = match pass {
            Pass::Forward => "forward",
            Pass::Backward => "backward",
        };
        Ok(Some(Box::new(system.with_name(name))))
    }

    fn compile(&self, operation: &Operation, extent: Option<Extent>, set: &mut ColumnSet) -> Option<Compiled> {
        let field = |value: &Value| self.bindings.field(self.plan.column(*value)?);
        let inputs = operation.inputs.iter().map(|value| Some(set.read(field(value)?))).collect::<Option<_>>()?;
        let indices = operation.inputs.iter().map(|value| self.indices(*value).map(|field| set.read_indices(field)));
        let indices = indices.collect();
        let outputs = operation.outputs.iter().map(|value| Some(set.write(field(value)?))).collect::<Option<_>>()?;
        let then = match &operation.parts {
            Some(parts) => Some(self.compile(&parts[1], None, set)?),
            None => None,
        };
        Some(Compiled::new(operation, inputs, indices, outputs, self.settled(operation), then, extent))
    }

    fn settled(&self, operation: &Operation) -> Option<Arc<AtomicBool>> {
        let rests = operation.run == Run::OnChange || operation.parts.is_some();
        match self.plan.column(*operation.outputs.first()?)? {
            Column::Layout(column) if rests => self.bindings.settled.get(column).cloned(),
            _ => None,
        }
    }

    /// The field of the indices of a sparse value.
    fn indices(&self, value: Value) -> Option<Field<u32>> {
        if !value.is_sparse() {
            return None;
        }
        let (input, _) = self.plan.program.sparse_parts(value);
        match self.bindings.inputs.get(input?)? {
            FeatureField::Sparse { indices, .. } => Some(*indices),
            FeatureField::Dense(_) => None,
        }
    }
}

/// The error of an operation on a value without a column: its layer has recorded a value of another program.
fn without_column(operation: &Operation) -> BuildError {
    let name = operation.operator.name();
    let reason = format!("records {name} on a value without a column; use only values of the program passed to it");
    BuildError::Layer { layer: operation.layer, path: String::new(), setting: None, reason }
}
