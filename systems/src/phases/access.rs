//! Access to the components of one model.

use bevy_ecs::{
    entity::Entity,
    query::{QueryBuilder, QueryData},
    system::QueryParamBuilder,
    world::World,
};
use connectome_components::ModelMarker;

/// What builds a query of one model's components.
type ModelQueryBuilder<D> = QueryParamBuilder<Box<dyn FnOnce(&mut QueryBuilder<D>)>>;

/// A query of components of one model, by [`ModelMarker`]: it does not conflict with those of other models. Of an entity
/// that is no model it is a plain query.
pub(crate) fn model_query<D: QueryData + 'static>(world: &World, model: Entity) -> ModelQueryBuilder<D> {
    let marker = world.get::<ModelMarker>(model).and_then(|marker| marker.filter(world));
    let marker = marker.map(|(own, others)| (own, others.collect::<Vec<_>>()));
    QueryParamBuilder::new_box(move |query| {
        let Some((own, others)) = marker else { return };
        query.with_id(own);
        for other in others {
            query.without_id(other);
        }
    })
}
