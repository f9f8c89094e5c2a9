//! Edges are drawn without a window.

use bevy_app::App;
use bevy_asset::Assets;
use bevy_color::LinearRgba;
use bevy_connectome::{
    connectome::components::Model,
    gizmos::{DrawnEdge, EdgeGizmos, EdgeGizmosApp, EdgeMeasure, draw},
    prelude::*,
};
use bevy_ecs::prelude::*;
use bevy_gizmos::{GizmoAsset, GizmoPlugin, config::DefaultGizmoConfigGroup, gizmos::GizmoBuffer};
use bevy_math::Vec3;
use bevy_transform::components::GlobalTransform;

use crate::common::{BRAIN, Doubler, Guess, Own, app, assets, until_built, world};

/// The lines of a frame: where they begin and end, and the color at the end.
fn lines(app: &App) -> Vec<(Vec3, Vec3, LinearRgba)> {
    let drawn = app.world().resource::<Assets<GizmoAsset>>();
    let drawn = drawn.iter().flat_map(|(_, asset)| {
        let buffer = asset.buffer();
        buffer
            .list_positions
            .chunks(2)
            .zip(buffer.list_colors.chunks(2))
            .map(|(ends, colors)| (ends[0], ends[1], colors[1]))
    });
    drawn.collect()
}

#[test]
fn edges_are_drawn_by_the_size_of_their_messages_or_their_weight() {
    let folder = assets(BRAIN);
    let mut app = app(folder.path());
    app.add_plugins(GizmoPlugin);
    let strong = EdgeGizmos::<Doubler>::default().strong;
    app.draw_edges(EdgeGizmos::<Doubler>::default());
    app.update();
    assert_eq!(lines(&app), []);
    let nodes: Vec<Entity> = app.world_mut().query_filtered::<Entity, With<Own>>().iter(app.world()).collect();
    for (number, node) in nodes.iter().enumerate() {
        app.world_mut().entity_mut(*node).insert(GlobalTransform::from_xyz(number as f32, 0.0, 0.0));
    }
    until_built(&mut app, 1);
    app.update();
    let drawn = lines(&app);
    assert_eq!(drawn.len(), 10);
    // The strongest message is that of the node with the largest output.
    let output = |app: &App, line: &(Vec3, Vec3, LinearRgba)| {
        app.world().get::<Guess>(nodes[line.0.x as usize]).unwrap().0.abs()
    };
    let strongest = drawn.iter().max_by(|a, b| output(&app, a).total_cmp(&output(&app, b))).unwrap();
    assert_eq!(strongest.2, strong);
    assert!(drawn.iter().filter(|line| line.2 == strong).count() == 1);

    let edge = app.world_mut().query_filtered::<Entity, With<Edge>>().iter(app.world()).next().unwrap();
    let source = app.world().get::<Edge>(edge).unwrap().source;
    app.world_mut().entity_mut(edge).insert(EdgeWeight(3.0));
    app.world_mut().resource_mut::<EdgeGizmos<Doubler>>().measure = EdgeMeasure::Weight;
    app.update();
    let place = nodes.iter().position(|node| *node == source).unwrap() as f32;
    for line in lines(&app) {
        assert_eq!(line.2 == strong, line.0.x == place, "{line:?}");
    }
    app.world_mut().resource_mut::<EdgeGizmos<Doubler>>().is_visible = false;
    // What was drawn is an asset, which is removed in the frame after the one that draws nothing.
    (0..3).for_each(|_| app.update());
    assert_eq!(lines(&app), []);
}

/// A brain that attends, and keeps its attention.
struct Attentive;

impl Brain for Attentive {
    type Node = Own;
    type Edge = Edge;
    type Input = (Own,);
    type Output = Guess;

    fn connect(model: ModelBuilder) -> ModelBuilder {
        model.keep_attention()
    }
}

#[test]
fn edges_are_drawn_by_attention() {
    let folder = assets("(model: [GatConv(width: 1, heads: 2, concat: false)])");
    let mut app = world(folder.path());
    app.add_brain::<Attentive>("doubler.brain.ron", BrainMode::Infer).add_plugins(GizmoPlugin);
    let nodes: Vec<Entity> = app.world_mut().query_filtered::<Entity, With<Own>>().iter(app.world()).collect();
    for (number, node) in nodes.iter().enumerate() {
        app.world_mut().entity_mut(*node).insert(GlobalTransform::from_xyz(number as f32, 0.0, 0.0));
    }
    let settings = EdgeGizmos::<Attentive>::by(EdgeMeasure::Attention(0));
    let strong = settings.strong;
    app.draw_edges(settings);
    for _ in 0..10_000 {
        app.update();
        if app.world().contains_resource::<ActiveBrain<Attentive>>() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    app.update();
    let model = app.world().resource::<ActiveBrain<Attentive>>().model;
    let kept = app.world().get::<Model>(model).unwrap().kept[0];
    let edges: Vec<(Entity, Edge)> =
        app.world_mut().query::<(Entity, &Edge)>().iter(app.world()).map(|(entity, edge)| (entity, *edge)).collect();
    let attention = |edge: Entity| kept.get(app.world(), edge).unwrap().iter().sum::<f32>();
    let (_, most) = edges.iter().max_by(|a, b| attention(a.0).total_cmp(&attention(b.0))).unwrap();
    let place = nodes.iter().position(|node| *node == most.source).unwrap() as f32;
    let drawn = lines(&app);
    assert_eq!(drawn.len(), 10);
    for line in drawn {
        assert_eq!(line.2 == strong, line.0.x == place, "{line:?}");
    }
}

#[test]
fn strengths_that_are_not_finite_are_none() {
    let mut buffer = GizmoBuffer::<DefaultGizmoConfigGroup, ()>::default();
    let [weak, strong] = [LinearRgba::BLACK, LinearRgba::WHITE];
    let edge = |strength| DrawnEdge { source: Vec3::ZERO, target: Vec3::X, strength };
    draw(&mut buffer, &[edge(f32::NAN), edge(f32::INFINITY), edge(2.0), edge(1.0)], [weak, strong]);
    let ends: Vec<LinearRgba> = buffer.list_colors.chunks(2).map(|colors| colors[1]).collect();
    assert_eq!([ends[0], ends[1], ends[2]], [weak, weak, strong]);
    assert!(ends[3].red > 0.4 && ends[3].red < 0.6);
    let mut empty = GizmoBuffer::<DefaultGizmoConfigGroup, ()>::default();
    draw(&mut empty, &[], [weak, strong]);
    assert!(empty.list_positions.is_empty());
}
