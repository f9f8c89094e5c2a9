//! Building of models in a world.

mod fields;
mod schedules;

use bevy_ecs::{component::ComponentId, entity::Entity, name::Name, schedule::Schedules, world::World};
use connectome_components::{Field, FieldPool, Graph, Model, ModelMarker};
use std::sync::{Arc, atomic::AtomicBool};

use super::{
    ModelBuilder, Plans,
    components::{Copies, CopyIn},
    dry_run::DryRun,
    emit::Bindings,
    input::Input,
    life::take_out,
    plans::Emitter,
    record::domain_of,
    schedules::check_resources,
    timings::Readings,
};
use crate::{
    error::{BuildError, StepFault},
    operators::copy,
    optimizers::LearnedParameter,
    parallel::Workers,
    program::{Domain, Layout, Plan, Program},
};

impl ModelBuilder {
    /// Spawns the model and its parameters, and adds its schedules to the world: [`Infer`], and with an optimizer
    /// [`Train`] and [`Evaluate`]. Inserts the resource [`Workers`] if there is none.
    ///
    /// [`Infer`]: crate::Infer
    /// [`Train`]: crate::Train
    /// [`Evaluate`]: crate::Evaluate
    ///
    /// # Errors
    /// If the entity is no graph, a layer does not fit its input, or two systems conflict. The world is unchanged then,
    /// except for fields that may have been attached to nodes.
    pub fn build(self, world: &mut World) -> Result<Entity, BuildError> {
        check_resources(world)?;
        let graph = world.get::<Graph>(self.graph).ok_or(BuildError::NoGraph(self.graph))?;
        graph.check(world)?;
        let rows = *graph;
        if matches!(self.input, Input::State(_)) && self.optimizer.is_some() {
            return Err(BuildError::Recurrent);
        }
        let kinds = self.kinds_in(world)?;
        let program = self.program(&kinds.homes, |field, default| domain_of(world, (rows, &kinds), field, default))?;
        let mut planned = DryRun::new(&self, program)?;
        if self.written.is_some() && !planned.computes_output() {
            let mut program = planned.program;
            copy_outputs(&mut program)?;
            planned = DryRun::new(&self, program)?;
        }
        self.check_state(&planned)?;
        let planned = Planned::from(planned);
        let graphs = planned.program.graphs.iter().zip(&planned.program.ends);
        let graphs = graphs.map(|(graph, ends)| graph_rows(world, *graph, ends.map(|kind| kinds.component(kind))));
        let graphs = graphs.collect::<Result<Vec<Graph>, BuildError>>()?;
        world.init_resource::<Workers>();
        world.init_resource::<Schedules>();
        let model = world.spawn(Name::new(self.name.clone())).id();
        ModelMarker::insert(world, model)?;
        let mut construction = Construction {
            builder: &self,
            planned: &planned,
            graphs,
            model,
            borrowed: Vec::new(),
            parameters: Vec::new(),
            learned: Vec::new(),
            readings: Default::default(),
            fault: StepFault::default(),
            is_watched: Arc::default(),
            emitters: Default::default(),
            copies: Vec::new(),
            written: None,
        };
        match construction.build(world) {
            Ok(()) => Ok(model),
            Err(error) => {
                let Construction { borrowed, parameters, .. } = construction;
                take_out(world, model, parameters, borrowed);
                Err(error)
            }
        }
    }
}

/// Ends each head in a copy, so that its output is a column of the layout, and not an input or a parameter.
fn copy_outputs(program: &mut Program) -> Result<(), BuildError> {
    for head in 0..program.heads.len() {
        program.heads[head].output = copy(program, program.heads[head].output)?;
    }
    Ok(())
}

/// The rows of a graph, which must have sources and nodes of these kinds.
fn graph_rows(world: &World, graph: Entity, ends: [Option<ComponentId>; 2]) -> Result<Graph, BuildError> {
    let rows = *world.get::<Graph>(graph).ok_or(BuildError::NoGraph(graph))?;
    rows.check(world)?;
    if [rows.sources, rows.nodes].map(Some) == ends { Ok(rows) } else { Err(BuildError::OtherNodes(graph)) }
}

/// The result of a dry run, with plans that schedules share.
struct Planned {
    program: Program,
    training: Option<Arc<Plan>>,
    inference: Arc<Plan>,
    layout: Layout,
}

impl From<DryRun> for Planned {
    fn from(DryRun { program, training, inference, layout, .. }: DryRun) -> Self {
        Self { program, training: training.map(Arc::new), inference: Arc::new(inference), layout }
    }
}

impl Planned {
    /// The domain and the width of the output.
    fn output(&self) -> Result<(Domain, usize), BuildError> {
        let output = self.inference.output(0).ok_or(BuildError::Empty)?;
        Ok((output.domain(), output.width()))
    }
}

/// A model under construction.
struct Construction<'a> {
    builder: &'a ModelBuilder,
    planned: &'a Planned,
    /// The rows of the graphs of the program.
    graphs: Vec<Graph>,
    model: Entity,
    borrowed: Vec<Field>,
    parameters: Vec<Entity>,
    learned: Vec<LearnedParameter>,
    readings: [Readings; 3],
    fault: StepFault,
    is_watched: Arc<AtomicBool>,
    emitters: [Option<Emitter>; 3],
    /// Copies from components before each step.
    copies: Vec<CopyIn>,
    /// The component's column that the last operation writes.
    written: Option<Field>,
}

impl Construction<'_> {
    fn build(&mut self, world: &mut World) -> Result<(), BuildError> {
        let (builder, planned) = (self.builder, self.planned);
        let (state, owner) = match builder.input {
            Input::State(width) => {
                let (state, owner) = FieldPool::take_double_buffer(world, self.graphs[0].nodes, width)?;
                self.borrowed.push(state.front);
                (Some(state), Some(owner))
            }
            _ => (None, None),
        };
        let inputs = self.inputs(world, state)?;
        let (parameters, gradients) = self.spawn_parameters(world)?;
        self.written = self.written_column(world, state, &inputs)?;
        let columns = self.columns(world, state)?;
        let graphs = self.planned.program.graphs.clone();
        let settled = columns.iter().map(|_| Arc::default()).collect();
        let bindings = Bindings {
            model: self.model,
            graphs,
            inputs,
            parameters,
            gradients,
            columns,
            settled,
            written: self.written,
            rows: self.graphs.clone(),
            fault: self.fault.clone(),
            is_watched: self.is_watched.clone(),
        };
        let bindings = Arc::new(bindings);
        self.require_of_topologies(world);

        let inference = &planned.inference;
        let field = |plan: &Plan, value| bindings.field(plan.column(value)?);
        let result = inference.output(0).and_then(|output| field(inference, output)).ok_or(BuildError::Empty)?;
        let plan = planned.training.as_ref().unwrap_or(inference);
        let kept: Vec<Field> = plan.program.kept.iter().filter_map(|value| field(plan, *value)).collect();
        let coordinates = self.builder.coordinates.and(kept.last().copied());
        let mut heads = self.heads(&bindings);
        let domain = planned.output()?.0;
        if builder.optimizer.is_some() {
            let mut component = builder.target_component;
            for (head, fields) in builder.heads().iter().zip(&mut heads) {
                match component.take() {
                    Some(component) => fields.targets = Some(self.read_component(world, component, domain, true)?),
                    None => head.take_targets(world, fields, &mut self.borrowed)?,
                }
            }
        }
        let copies = Arc::new(Copies {
            graph: planned.program.graphs[planned.program.graph_with(domain).0 as usize],
            domain,
            into_fields: self.copies.clone(),
            written: builder.written.filter(|_| self.written.is_none()),
            actors: builder.actors.clone(),
        });
        if let (Some(optimizer), Some(training)) = (builder.optimizer, &planned.training) {
            self.add_learning(world, optimizer, training, &bindings, &heads, &copies)?;
        }
        // After the flip of the double buffer, what was written is its front.
        let output = state.map_or(result, |state| state.front);
        self.add_inference(world, &bindings, &copies, output, owner)?;
        let carried = self.carried(&bindings, &heads, output);
        let model = Model {
            graph: self.builder.graph,
            input: bindings.inputs[0],
            output,
            output_gradient: heads.first().and_then(|head| head.output_gradient),
            kept,
            targets: heads.first().and_then(|head| head.targets),
            heads,
            coordinates,
            kinds: self.inputs_of_kinds(&bindings.inputs),
            parameters: self.parameters.clone(),
            buffers: self.borrowed.clone(),
        };
        let plans = Plans {
            training: planned.training.clone(),
            inference: inference.clone(),
            layout: planned.layout.clone(),
            readings: self.readings.clone(),
            fault: self.fault.clone(),
            is_watched: self.is_watched.clone(),
            emitters: self.emitters.clone(),
            graphs: bindings.graphs.clone(),
            state_owner: owner,
            parameters: self.parameters.clone(),
            borrowed: self.borrowed.clone(),
            carried,
            trained_output: planned.training.as_ref().and_then(|plan| field(plan, plan.output(0)?)),
        };
        world.entity_mut(self.model).insert((model, plans));
        Ok(())
    }
}
