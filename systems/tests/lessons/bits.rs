//! Nothing but the numbers of frames decides which weights a frame has.

use super::*;
use connectome_components::Field;
use connectome_systems::batch::{Batch, Extract};
use core::time::Duration;

const FRAMES: u64 = 40;

#[test]
fn all_bits_are_the_same_on_threads_and_in_slices_of_any_length() {
    let play = |change: &dyn Fn(LessonBuilder) -> LessonBuilder| Game::new(|graph| change(lessons(graph))).play(FRAMES);
    let expected = play(&|lessons| lessons);
    assert_ne!(expected[10], expected[30], "it learns");
    for workers in [0, 1, 2, 3, 8] {
        assert!(play(&|lessons| lessons.workers(workers)) == expected, "with {workers} workers");
    }
    for budget in [Duration::from_nanos(1), Duration::from_micros(50), Duration::from_millis(1), Duration::MAX] {
        assert!(play(&|lessons| lessons.slices(budget)) == expected, "in slices of {budget:?}");
    }
}

#[test]
fn samples_are_drawn_by_the_number_of_the_frame() {
    let play = |change: &dyn Fn(LessonBuilder) -> LessonBuilder| {
        Game::new(|graph| change(lessons(graph).sample_neighbors(5, &[3]))).play(FRAMES)
    };
    let expected = play(&|lessons| lessons);
    assert!(play(&|lessons| lessons.workers(3)) == expected);
    assert!(play(&|lessons| lessons.slices(Duration::from_micros(20))) == expected);
    assert!(Game::new(lessons).play(FRAMES) != expected, "the whole graph is another batch");
}

#[test]
fn the_workers_of_the_world_change_no_bit() {
    let expected = Game::new(lessons).play(FRAMES);
    for workers in [2, 3, 8] {
        let mut game = Game::new(lessons);
        game.world.insert_resource(Workers::new(workers).unwrap());
        assert!(game.play(FRAMES) == expected, "with {workers} workers");
    }
}

/// A world in which the model is trained by hand.
struct ByHand {
    world: World,
    graph: Entity,
    model: Entity,
    extract: Extract,
}

impl ByHand {
    fn new(game: &mut Game) -> Self {
        let mut world = World::new();
        register_default::<Sight>(&mut world);
        let graph = Graph::of::<Sight, Edge>(&mut world);
        let model = world.spawn_model(brain(graph)).unwrap();
        let mut extract = Extract::new(&game.world, game.graph).unwrap();
        let nodes = |world: &mut World| register_default::<Sight>(world);
        let (from, to) = (nodes(&mut game.world), nodes(&mut world));
        fn copy<T: Component<Mutability = bevy_ecs::component::Mutable> + Default + Pod>(
            extract: &mut Extract,
            (corpus, from): (&mut World, bevy_ecs::component::ComponentId),
            (world, to): (&mut World, bevy_ecs::component::ComponentId),
        ) {
            let (from, to) = (Field::from_f32s::<T>(corpus, from).unwrap(), Field::from_f32s::<T>(world, to).unwrap());
            extract.copy(corpus, from, to).unwrap();
        }
        copy::<Sight>(&mut extract, (&mut game.world, from), (&mut world, to));
        copy::<Wish>(&mut extract, (&mut game.world, from), (&mut world, to));
        let splits = Field::<Split>::of_component(&mut game.world, from).unwrap();
        let own_splits = Field::<Split>::of_component(&mut world, to).unwrap();
        extract.copy(&game.world, splits, own_splits).unwrap();
        Self { world, graph, model, extract }
    }

    fn extract(&self, corpus: &mut World) -> Batch {
        let mut batch = Batch::default();
        self.extract.update(corpus);
        self.extract.whole(corpus, &mut batch).unwrap();
        batch
    }

    fn train(&mut self, batch: &Batch, steps: u32) -> Vec<f32> {
        batch.load(&mut self.world, self.graph).unwrap();
        for _ in 0..steps {
            self.world.train(self.model).unwrap();
        }
        weights(&self.world, self.model)
    }
}

#[test]
fn the_weights_of_a_frame_are_those_of_a_plain_loop() {
    for (every, after, steps) in [(7, 4, 3), (5, 5, 1), (1, 1, 2)] {
        let mut game = Game::new(|graph| lessons(graph).every(every).arrives_after(after).steps(steps));
        let mut by_hand = ByHand::new(&mut game);
        let mut current = weights(&game.world, game.model);
        let mut coming = None;
        for frame in 0..FRAMES {
            game.live(frame);
            if frame % u64::from(every) == u64::from(after % every)
                && let Some(weights) = coming.take()
            {
                current = weights;
            }
            let batch = (frame % u64::from(every) == 0).then(|| by_hand.extract(&mut game.world));
            game.world.run_lesson(game.model).unwrap();
            game.world.infer(game.model).unwrap();
            coming = coming.or(batch.map(|batch| by_hand.train(&batch, steps)));
            assert_eq!(weights(&game.world, game.model), current, "frame {frame} of lessons every {every}");
        }
        let progress = game.progress();
        assert_eq!(progress.frame, FRAMES);
        assert_eq!(progress.arrived, (FRAMES - 1 - u64::from(after)) / u64::from(every) + 1);
        assert_eq!(progress.steps, progress.arrived * u64::from(steps));
        assert!(progress.loss.is_finite() && progress.discarded == 0);
    }
}

#[test]
fn a_lesson_begins_with_the_weights_and_the_optimizer_that_the_model_has_then() {
    let mut game = Game::new(lessons);
    let frozen = Optimizer::Sgd { learning_rate: 0.0, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
    game.world.entity_mut(game.model).insert(frozen);
    let parameter = game.world.get::<Model>(game.model).unwrap().parameters[0];
    let value = game.world.get::<Parameter>(parameter).unwrap().value;
    let given = vec![0.25; value.width()];
    value.set(&mut game.world, parameter, &given).unwrap();
    (0..20).for_each(|frame| game.frame(frame));
    assert_eq!(game.progress().arrived, 3);
    assert_eq!(
        value.get(&game.world, parameter).unwrap(),
        given,
        "a learning rate of 0 keeps the weights that were given"
    );
    game.world.entity_mut(game.model).insert(Optimizer::adam(0.1));
    (20..40).for_each(|frame| game.frame(frame));
    assert_ne!(value.get(&game.world, parameter).unwrap(), given);
}
