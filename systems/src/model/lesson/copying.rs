//! What a model reads in a world of its own, as copies of what it reads in the live one.

use bevy_ecs::{component::ComponentId, entity::Entity, system::BoxedSystem, world::World};
use connectome_components::{ClassLabel, Field, FieldPool, Graph, Model, ModelHead, Split};

use crate::{
    error::{BuildError, LessonError},
    model::{
        Head, HeadLoss, HeadTargets, ModelBuilder, RowAccess,
        components::{ComponentBinding, Copied},
        field_copies::{CopyError, FieldCopies},
        input::Input,
    },
    program::Domain,
};

/// What the copy of a model reads.
pub(super) struct Copying<'a> {
    pub(super) world: &'a mut World,
    pub(super) own: &'a mut World,
    /// The model in the live world.
    pub(super) model: Entity,
    pub(super) copies: FieldCopies,
    /// The fields taken from the pool of the live world.
    pub(super) fields: &'a mut Vec<Field>,
    /// Write these fields.
    pub(super) observers: Vec<BoxedSystem>,
}

impl Copying<'_> {
    /// The builder of the copy, but for its graph.
    pub(super) fn copy(&mut self, mut builder: ModelBuilder) -> Result<ModelBuilder, CopyError> {
        let live = self.world.get::<Model>(self.model).ok_or(BuildError::NoModel(self.model))?.clone();
        let graph = *self.world.get::<Graph>(live.graph).ok_or(BuildError::NoGraph(live.graph))?;
        match builder.input {
            Input::Width(_) => builder.input = Input::Given(live.input),
            Input::Observed(width) => {
                let field = self.take(graph.nodes, width)?;
                if let Some(observer) = builder.observer.take() {
                    let rows = RowAccess::new(live.graph, field, Domain::NODES);
                    let observer = observer(self.world, &rows);
                    self.add_observer(observer);
                }
                builder.input = Input::Given(field.into());
            }
            Input::Component(binding) => builder.input = Input::Given(self.component(binding, graph.nodes)?.into()),
            Input::Components(width) => {
                let field = self.take(graph.nodes, width)?;
                let mut first = 0;
                for binding in core::mem::take(&mut builder.components) {
                    self.observe(binding, Copied { field, domain: graph.nodes, first })?;
                    first += binding.width;
                }
                builder.input = Input::Given(field.into());
            }
            _ => {}
        }
        if let Some(Input::Component(binding)) = builder.edges {
            builder.edges = Some(Input::Given(self.component(binding, graph.edges)?.into()));
        }
        self.kinds(&mut builder, &live)?;
        self.copies.inputs(self.world, self.own, &mut builder)?;
        let component = builder.target_component.take();
        let component = component.map(|binding| self.component(binding, live.output.domain())).transpose()?;
        let name = builder.name.clone();
        for (index, (head, known)) in builder.heads_mut().iter_mut().zip(&live.heads).enumerate() {
            if let Some(component) = component.filter(|_| index == 0) {
                *head = head.clone().targets(component);
            }
            self.head(&name, head, known)?;
        }
        builder.written = None;
        builder.actors.clear();
        Ok(builder)
    }

    /// Lets the inputs of the other kinds of nodes, and of the edges of relations, be fields.
    fn kinds(&mut self, builder: &mut ModelBuilder, live: &Model) -> Result<(), CopyError> {
        for kind in &mut builder.kinds {
            let known = live.input_of(&kind.name).ok_or(CopyError::Input)?;
            let domain = known.values().domain();
            kind.input = Some(Input::Given(match kind.input {
                Some(Input::Component(binding)) => self.component(binding, domain)?.into(),
                Some(Input::Components(width)) => {
                    let field = self.take(domain, width)?;
                    let mut first = 0;
                    for binding in core::mem::take(&mut kind.components) {
                        self.observe(binding, Copied { field, domain, first })?;
                        first += binding.width;
                    }
                    field.into()
                }
                _ => known,
            }));
        }
        for relation in &mut builder.relations {
            let edges = self.world.get::<Graph>(relation.graph).ok_or(BuildError::NoGraph(relation.graph))?.edges;
            if let Some(Input::Component(binding)) = relation.edges {
                relation.edges = Some(Input::Given(self.component(binding, edges)?.into()));
            }
        }
        Ok(())
    }

    /// Lets a head of the copy read copies.
    fn head(&mut self, model: &str, head: &mut Head, known: &ModelHead) -> Result<(), CopyError> {
        let unfit = |reason: String| LessonError::Unfit { model: model.to_owned(), reason };
        let domain = known.output.domain();
        let Self { world, own, copies, .. } = self;
        let name = &head.name;
        let values = match (&head.loss, head.targets) {
            (HeadLoss::External, _) => {
                let reason = format!(
                    "has the head `{name}` with an external gradient, which no system writes in the world of its lessons; \
                     give it a loss"
                );
                return Err(unfit(reason).into());
            }
            (_, Some(HeadTargets::Values(values))) => Some(HeadTargets::Values(copies.values(world, own, values)?)),
            (_, Some(HeadTargets::Indices(labels))) => Some(HeadTargets::Indices(copies.indices(world, own, labels)?)),
            (_, Some(HeadTargets::Classes(_))) => {
                Some(HeadTargets::Classes(copies.component::<ClassLabel>(world, own, domain)?))
            }
            (HeadLoss::Given(loss), None) if loss.is_classification() => {
                copies.component::<ClassLabel>(world, own, domain)?;
                None
            }
            _ => {
                let reason = format!(
                    "has the head `{name}` without targets; give it a field by `targets`, or let the model learn a \
                     component by `learns`"
                );
                return Err(unfit(reason).into());
            }
        };
        head.targets = values;
        copies.component::<Split>(world, own, domain)?;
        if let Some(weights) = head.row_weights {
            head.row_weights = Some(copies.values(world, own, weights)?);
        }
        Ok(())
    }

    /// The column of a component of the live world, or a field into which it is copied before a batch is extracted.
    fn component(&mut self, binding: ComponentBinding, domain: ComponentId) -> Result<Field, CopyError> {
        if let Some(column) = (binding.column)(self.world, domain)? {
            return Ok(column);
        }
        let field = self.take(domain, binding.width)?;
        self.observe(binding, Copied { field, domain, first: 0 })?;
        Ok(field)
    }

    /// Copies a component before a batch is extracted.
    fn observe(&mut self, binding: ComponentBinding, copied: Copied) -> Result<(), CopyError> {
        let observer = (binding.copy_in)(self.world, copied)?;
        self.add_observer(observer);
        Ok(())
    }

    fn take(&mut self, domain: ComponentId, width: usize) -> Result<Field, CopyError> {
        let field = FieldPool::take(self.world, Some(domain), width)?;
        self.fields.push(field);
        Ok(field)
    }

    fn add_observer(&mut self, mut observer: BoxedSystem) {
        observer.initialize(self.world);
        self.observers.push(observer);
    }
}
