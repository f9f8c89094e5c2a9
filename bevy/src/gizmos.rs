//! Drawing of the edges that a brain's messages take, by Bevy's gizmos.

use bevy_app::{App, PostUpdate};
use bevy_color::{Color, LinearRgba, Mix};
use bevy_ecs::{
    entity::Entity,
    query::With,
    resource::Resource,
    schedule::IntoScheduleConfigs,
    system::{If, Query, Res},
    world::World,
};
use bevy_gizmos::{config::GizmoConfigGroup, gizmos::GizmoBuffer, prelude::Gizmos};
use bevy_math::Vec3;
use bevy_transform::{TransformSystems, components::GlobalTransform};
use connectome::components::{Edge, EdgeWeight, Features, Model};
use std::marker::PhantomData;

use crate::{brain::Brain, components::ActiveBrain};

/// What the color of an edge shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EdgeMeasure {
    /// The size of its message: the length of the row that the brain has written to its source, times the weight of the edge.
    #[default]
    Message,
    /// Its weight.
    Weight,
    /// The attention that its target pays it, the mean of all heads, in this one of the layers that attend, from 0. The model
    /// keeps it if [`Brain::connect`] calls [`keep_attention`](connectome::prelude::ModelBuilder::keep_attention).
    Attention(usize),
}

/// How the edges of the brain of kind `B` are drawn.
#[derive(Resource)]
pub struct EdgeGizmos<B: Brain> {
    /// What their color shows.
    pub measure: EdgeMeasure,
    /// The color of the weakest possible edge, of measure 0.
    pub weak: LinearRgba,
    /// The color of the strongest edge of the frame.
    pub strong: LinearRgba,
    /// Whether they are drawn.
    pub is_visible: bool,
    kind: PhantomData<fn() -> B>,
}

impl<B: Brain> Default for EdgeGizmos<B> {
    fn default() -> Self {
        Self {
            measure: EdgeMeasure::default(),
            weak: LinearRgba::new(1.0, 1.0, 1.0, 0.05),
            strong: LinearRgba::new(1.0, 0.6, 0.1, 1.0),
            is_visible: true,
            kind: PhantomData,
        }
    }
}

impl<B: Brain> EdgeGizmos<B> {
    /// Colors that show a measure.
    pub fn by(measure: EdgeMeasure) -> Self {
        Self { measure, ..Self::default() }
    }
}

/// An edge as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DrawnEdge {
    /// Where its source is.
    pub source: Vec3,
    /// Where its target is.
    pub target: Vec3,
    /// What its color shows; not negative.
    pub strength: f32,
}

/// Adds the drawing of edges to an app.
pub trait EdgeGizmosApp {
    /// Draws the edges of the brain of a kind between the places of their ends, in each frame; needs Bevy's `GizmoPlugin`. The
    /// resource [`EdgeGizmos`] says how.
    fn draw_edges<B: Brain>(&mut self, gizmos: EdgeGizmos<B>) -> &mut Self;
}

impl EdgeGizmosApp for App {
    fn draw_edges<B: Brain>(&mut self, gizmos: EdgeGizmos<B>) -> &mut Self {
        self.insert_resource(gizmos);
        self.add_systems(PostUpdate, draw_edges::<B>.after(TransformSystems::Propagate))
    }
}

type Edges<'w, 's, B> = Query<'w, 's, (Entity, &'static Edge, Option<&'static EdgeWeight>), With<<B as Brain>::Edge>>;

fn draw_edges<B: Brain>(
    active: If<Res<ActiveBrain<B>>>,
    world: &World,
    settings: Res<EdgeGizmos<B>>,
    edges: Edges<B>,
    places: Query<&GlobalTransform>,
    outputs: Query<&B::Output>,
    mut gizmos: Gizmos,
) {
    if !settings.is_visible {
        return;
    }
    let mut row = vec![0.0; B::Output::WIDTH];
    let mut message = |source: Entity| match outputs.get(source) {
        Ok(output) => {
            output.read(&mut row);
            row.iter().map(|value| value * value).sum::<f32>().sqrt()
        }
        Err(_) => 0.0,
    };
    let model = world.get::<Model>(active.model);
    let attention = |layer: usize, edge: Entity| {
        let row = model.and_then(|model| model.kept.get(layer)).and_then(|kept| kept.get(world, edge).ok());
        row.map_or(0.0, |heads| heads.iter().sum::<f32>() / heads.len() as f32)
    };
    let drawn = edges.iter().filter_map(|(entity, edge, weight)| {
        let [source, target] = places.get_many([edge.source, edge.target]).ok()?.map(GlobalTransform::translation);
        let weight = weight.map_or(1.0, |weight| weight.0);
        let strength = match settings.measure {
            EdgeMeasure::Message => weight * message(edge.source),
            EdgeMeasure::Weight => weight,
            EdgeMeasure::Attention(layer) => attention(layer, entity),
        };
        Some(DrawnEdge { source, target, strength: strength.abs() })
    });
    draw(&mut gizmos, &drawn.collect::<Vec<_>>(), [settings.weak, settings.strong]);
}

/// Draws edges as lines whose colors lie between two, by how strong they are in comparison with the strongest one. A strength that
/// is not finite counts as none. Toward its source a line is half as opaque, so that one sees whither messages go.
pub fn draw<Config: GizmoConfigGroup, Clear: Send + Sync + 'static>(
    gizmos: &mut GizmoBuffer<Config, Clear>,
    edges: &[DrawnEdge],
    [weak, strong]: [LinearRgba; 2],
) {
    let strength = |edge: &DrawnEdge| if edge.strength.is_finite() { edge.strength.max(0.0) } else { 0.0 };
    let strongest = edges.iter().map(strength).fold(0.0, f32::max);
    for edge in edges {
        let share = if strongest > 0.0 { strength(edge) / strongest } else { 0.0 };
        let color = weak.mix(&strong, share);
        let faint = LinearRgba { alpha: 0.5 * color.alpha, ..color };
        gizmos.line_gradient(edge.source, edge.target, Color::from(faint), Color::from(color));
    }
}
