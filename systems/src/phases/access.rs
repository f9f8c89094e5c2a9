//! Access to the components of one model.

use bevy_ecs::{
    entity::Entity,
    query::{QueryBuilder, QueryData},
    system::QueryParamBuilder,
    world::World,
};
use connectome_components::ModelMarker;

/// A query of components of one model, by [`ModelMarker`]: it does not conflict with those of other models. Of an entity
/// that is no model it is a plain query.
pub(crate) fn model_query<'a, D: QueryData + 'static>(
    world: &World,
    model: Entity,
) -> QueryParamBuilder<Box<dyn FnOnce(&mut QueryBuilder<D>) + 'a>> {
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
