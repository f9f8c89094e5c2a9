//! The inputs of a model in a world of its own, as copies of those of another world.

use bevy_ecs::{
    component::{Component, ComponentId, Mutable},
    entity::Entity,
    world::World,
};
use connectome_components::{FeatureField, Field, FieldPool, Graph};

use super::{ModelBuilder, input::Input};
use crate::{
    batch::{BatchElement, BatchError, Extract},
    error::BuildError,
};

/// The fields of a graph that are copied to a graph of another world.
pub(super) struct FieldCopies {
    /// Copies rows with these fields.
    pub(super) extract: Extract,
    /// The fields of the copies, taken from the pool of the other world.
    pub(super) taken: Vec<Field>,
    /// The components that are copied, each with that of their rows.
    components: Vec<(ComponentId, ComponentId)>,
    /// The graphs, each with that which its rows are copied to.
    graphs: Vec<(Graph, Graph)>,
}

/// Why a field cannot be copied.
pub(super) enum CopyError {
    /// An input is neither a field nor a component that is `Pod`.
    Input,
    /// It cannot be extracted.
    Batch(BatchError),
    /// There is no such graph, or no field can be registered.
    Build(BuildError),
}

impl From<BatchError> for CopyError {
    fn from(error: BatchError) -> Self {
        Self::Batch(error)
    }
}

impl<E: Into<BuildError>> From<E> for CopyError {
    fn from(error: E) -> Self {
        Self::Build(error.into())
    }
}

fn graph_of(world: &World, graph: Entity) -> Result<Graph, BuildError> {
    world.get::<Graph>(graph).copied().ok_or(BuildError::NoGraph(graph))
}

impl FieldCopies {
    /// None so far, of `origin` in `world`, to `graph` in `own`.
    pub(super) fn new(world: &World, origin: Entity, own: &World, graph: Entity) -> Result<Self, CopyError> {
        let graphs = vec![(graph_of(world, origin)?, graph_of(own, graph)?)];
        Ok(Self { extract: Extract::new(world, origin)?, taken: Vec::new(), components: Vec::new(), graphs })
    }

    /// Copies the whole of another graph as well: of another kind of nodes, or a relation between two.
    pub(super) fn add_graph(
        &mut self,
        world: &World,
        origin: Entity,
        own: &World,
        graph: Entity,
    ) -> Result<(), CopyError> {
        self.graphs.push((graph_of(world, origin)?, graph_of(own, graph)?));
        Ok(self.extract.add_graph(world, origin)?)
    }

    /// Lets a model read copies of its inputs, in a world of its own.
    pub(super) fn inputs(
        &mut self,
        world: &mut World,
        own: &mut World,
        builder: &mut ModelBuilder,
    ) -> Result<(), CopyError> {
        let from = self.graphs[0].0;
        let inputs = [Some(&mut builder.input), builder.edges.as_mut(), builder.coordinates.as_mut()];
        for (input, marker) in inputs.into_iter().zip([from.nodes, from.edges, from.nodes]) {
            if let Some(input) = input {
                self.input(world, own, input, Some(marker))?;
            }
        }
        let kinds = builder.kinds.iter_mut().map(|kind| &mut kind.input);
        for input in kinds.chain(builder.relations.iter_mut().map(|relation| &mut relation.edges)).flatten() {
            self.input(world, own, input, None)?;
        }
        Ok(())
    }

    /// Lets an input be a copy; a component is one of the rows that `marker` marks.
    fn input(
        &mut self,
        world: &mut World,
        own: &mut World,
        input: &mut Input,
        marker: Option<ComponentId>,
    ) -> Result<(), CopyError> {
        let given = match (*input, marker) {
            (Input::Given(features), _) => Some(features),
            (Input::Component(binding), Some(marker)) => (binding.column)(world, marker)?.map(FeatureField::from),
            _ => None,
        };
        *input = Input::Given(self.features(world, own, given.ok_or(CopyError::Input)?)?);
        Ok(())
    }

    /// The copy of features.
    fn features(&mut self, world: &World, own: &mut World, features: FeatureField) -> Result<FeatureField, CopyError> {
        Ok(match features {
            FeatureField::Dense(values) => self.values(world, own, values)?.into(),
            FeatureField::Sparse { indices, values, width } => {
                let values = self.values(world, own, values)?;
                FeatureField::Sparse { indices: self.indices(world, own, indices)?, values, width }
            }
        })
    }

    /// The copy of a field of values.
    pub(super) fn values(&mut self, world: &World, own: &mut World, from: Field) -> Result<Field, CopyError> {
        let to = FieldPool::take(own, Some(self.own_marker(world, from)?), from.width())?;
        self.taken.push(to);
        self.extract.copy(world, from, to)?;
        Ok(to)
    }

    /// The copy of a component; one that is copied already is not copied again.
    pub(super) fn component<T>(
        &mut self,
        world: &mut World,
        own: &mut World,
        domain: ComponentId,
    ) -> Result<Field<T>, CopyError>
    where
        T: Component<Mutability = Mutable> + BatchElement + Default,
    {
        let from = Field::<T>::of_component(world, domain)?;
        let to = Field::<T>::of_component(own, self.own_marker(world, from)?)?;
        if !self.components.contains(&(from.id(), domain)) {
            self.extract.copy(world, from, to)?;
            self.components.push((from.id(), domain));
        }
        Ok(to)
    }

    /// The copy of a field of indices.
    pub(super) fn indices(
        &mut self,
        world: &World,
        own: &mut World,
        from: Field<u32>,
    ) -> Result<Field<u32>, CopyError> {
        let to = Field::<u32>::register(own, "indices", self.own_marker(world, from)?, from.width())?;
        self.extract.copy(world, from, to)?;
        Ok(to)
    }

    /// The component that marks the rows of the copy of a field.
    fn own_marker<T: Send + Sync + 'static>(&self, world: &World, field: Field<T>) -> Result<ComponentId, CopyError> {
        let mut pairs = self
            .graphs
            .iter()
            .flat_map(|(from, to)| [(from.nodes, to.nodes), (from.edges, to.edges), (from.subgraphs, to.subgraphs)]);
        let pair = pairs.find(|(marker, _)| *marker == field.domain());
        pair.map(|(_, marker)| marker).ok_or_else(|| BuildError::OtherRows { field: field.name(world) }.into())
    }
}
