//! Mistakes are errors that say what to do, and the world goes on.

use super::*;
use connectome_components::{ClassLabel, Field, FieldPool, LearningRateSchedule};
use connectome_systems::{
    Evaluate, Head, LearningError, LessonError, Train,
    layers::{BuildError, InnerProductDecoder},
    program::{Domain, Operator, Shape, Step, Value},
};
use core::time::Duration;

/// Edges of another graph.
#[derive(Component, Default)]
struct Pair;

#[track_caller]
fn refused(lessons: LessonBuilder, world: &mut World, expected: &str) {
    let entities = world.query::<&Parameter>().iter(world).count();
    let borrowed = world.get_resource_or_init::<FieldPool>().borrowed();
    let error = world.spawn_lesson(lessons).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    assert_eq!(world.query::<&Parameter>().iter(world).count(), entities, "{error}");
    assert_eq!(world.get_resource_or_init::<FieldPool>().borrowed(), borrowed, "{error}");
}

#[test]
fn settings_of_nothing_are_refused() {
    let mut world = World::new();
    let graph = Graph::of::<Sight, Edge>(&mut world);
    let lessons = || lessons(graph);
    refused(lessons().every(0), &mut world, "`every` is 0 frames, so that no lesson would begin; give at least 1");
    refused(lessons().arrives_after(0), &mut world, "`arrives_after` is 0 frames");
    refused(
        lessons().arrives_after(8),
        &mut world,
        "is 8 frames, but the next lesson begins after 7; give at most as many",
    );
    refused(lessons().steps(0), &mut world, "`steps` is 0, so that a lesson would change nothing; give at least 1");
    refused(lessons().slices(Duration::ZERO), &mut world, "`slices` is a budget of 0");
    refused(lessons().sample_neighbors(0, &[3]), &mut world, "`sample_neighbors` draws 0 seeds");
    refused(lessons().sample_subgraphs(0), &mut world, "`sample_subgraphs` draws 0 subgraphs");
    refused(lessons().workers(1_000_000), &mut world, "`workers` cannot be had: 1000000 workers are too many");
}

#[test]
fn models_that_cannot_learn_elsewhere_are_refused() {
    let mut world = World::new();
    let graph = Graph::of::<Sight, Edge>(&mut world);
    let model = || ModelBuilder::new(graph).name("brain").reads::<Sight>().layer(Linear::new(2));
    let adam = Optimizer::adam(0.1);
    refused(LessonBuilder::new(model()), &mut world, "`brain` cannot take lessons: it has no optimizer");
    let external = model().optimizer(adam).external_gradient();
    refused(LessonBuilder::new(external), &mut world, "the head `output` with an external gradient");
    let without_targets = model().optimizer(adam).loss(Loss::MeanSquaredError);
    refused(LessonBuilder::new(without_targets), &mut world, "the head `output` without targets; give it a field");
    let recurrent = ModelBuilder::new(graph).recurrent(2).layer(Linear::new(2)).optimizer(adam);
    refused(LessonBuilder::new(recurrent), &mut world, "recurrent");
    let edges = model().edge_input_width(2).learns::<Wish>(Loss::MeanSquaredError, adam);
    refused(LessonBuilder::new(edges), &mut world, "edge features without a field");
    let nodes = world.register_component::<Sight>();
    let [input, gradient] = ["input", "gradient"].map(|name| Field::register(&mut world, name, nodes, 3).unwrap());
    let gradients = model().input(input).input_gradient(input, gradient).learns::<Wish>(Loss::MeanSquaredError, adam);
    refused(LessonBuilder::new(gradients), &mut world, "gradients of inputs");
    let other = Graph::of::<Sight, Pair>(&mut world);
    let links = model().layer(InnerProductDecoder { pairs: other }).loss(Loss::BinaryCrossEntropy).optimizer(adam);
    refused(LessonBuilder::new(links), &mut world, "reads another graph");
    let unfit = model().layer(Linear::new(7)).learns::<Wish>(Loss::MeanSquaredError, adam);
    refused(LessonBuilder::new(unfit), &mut world, "7");
    assert!(world.query::<&LessonProgress>().iter(&world).next().is_none());
}

#[test]
fn other_schedules_and_other_entities_are_refused() {
    let mut game = Game::new(lessons);
    for error in [game.world.train(game.model), game.world.run_model(Evaluate(game.model))] {
        let error = error.unwrap_err();
        assert!(matches!(error, BuildError::Lesson(LessonError::TrainedByLessons(_))), "{error}");
        assert!(error.to_string().contains("call `run_lesson` once in each frame"), "{error}");
    }
    assert!(game.world.run_model(Train(game.graph)).is_err());
    let error = game.world.run_lesson(game.graph).unwrap_err().to_string();
    assert!(error.contains("takes no lessons; pass the model that `spawn_lesson` returned"), "{error}");
    game.world.despawn(game.graph);
    let error = game.world.run_lesson(game.model).unwrap_err();
    assert!(matches!(error, BuildError::NoGraph(_)), "{error}");
}

#[test]
fn lessons_of_an_empty_world_are_discarded_until_there_is_something_to_learn() {
    for sampled in [false, true] {
        let mut game = Game::empty(|graph| {
            let lessons = lessons(graph).every(2).arrives_after(1);
            if sampled { lessons.sample_neighbors(4, &[2]) } else { lessons }
        });
        let before = weights(&game.world, game.model);
        for frame in 0..6 {
            let outcome = game.world.run_lesson(game.model);
            match frame % 2 {
                0 => outcome.unwrap(),
                _ => {
                    let error = outcome.unwrap_err().to_string();
                    let expected = format!("step 0 of the lesson of frame {} could not be applied", frame - 1);
                    assert!(error.starts_with(&expected) && error.contains("no training rows"), "{error}");
                }
            }
            game.world.infer(game.model).unwrap();
        }
        assert_eq!((game.progress().discarded, game.progress().arrived), (3, 0));
        assert!(game.progress().loss.is_nan());
        assert_eq!(weights(&game.world, game.model), before);
        (0..4).for_each(|number| _ = game.spawn(number));
        (6..8).for_each(|_| game.world.run_lesson(game.model).unwrap());
        assert_eq!(game.progress().arrived, 1);
        assert_ne!(weights(&game.world, game.model), before);
    }
}

#[test]
fn a_target_that_is_not_finite_discards_the_lesson_and_names_the_agent() {
    let run = |spoil: bool| {
        let mut game = Game::new(lessons);
        (0..11).for_each(|frame| game.frame(frame));
        let before = game.progress().arrived;
        (11..14).for_each(|frame| game.frame(frame));
        let agent = game.agents()[3];
        let known = *game.world.get::<Wish>(agent).unwrap();
        if spoil {
            game.world.get_mut::<Wish>(agent).unwrap().0[1] = f32::NAN;
        }
        game.world.run_lesson(game.model).unwrap();
        *game.world.get_mut::<Wish>(agent).unwrap() = known;
        game.world.infer(game.model).unwrap();
        let learned = weights(&game.world, game.model);
        for _ in 15..18 {
            game.world.run_lesson(game.model).unwrap();
        }
        let outcome = game.world.run_lesson(game.model);
        if !spoil {
            outcome.unwrap();
            assert_ne!(weights(&game.world, game.model), learned);
            return;
        }
        match outcome.unwrap_err() {
            BuildError::Lesson(LessonError::Discarded { frame: 14, step: 0, error }) => match *error {
                BuildError::Learning(LearningError::Loss { entity, model, .. }) => {
                    assert_eq!((entity, &*model), (agent, "brain"));
                }
                error => panic!("{error}"),
            },
            error => panic!("{error}"),
        }
        assert_eq!(weights(&game.world, game.model), learned, "the weights stay");
        assert_eq!((game.progress().discarded, game.progress().arrived), (1, before + 1));
        (19..30).for_each(|frame| game.frame(frame));
        assert_eq!(game.progress().discarded, 1);
        assert_ne!(weights(&game.world, game.model), learned, "later lessons go on");
        assert!(weights(&game.world, game.model).iter().all(|weight| weight.is_finite()));
    };
    run(false);
    run(true);
}

#[test]
fn a_lesson_that_turns_infinite_leaves_no_trace() {
    // The first step is taken, with a learning rate that makes the second one fail.
    let mut game = Game::new(|graph| {
        let model = ModelBuilder::new(graph).name("brain").reads::<Sight>().layer(Linear::new(2)).layer(Linear::new(2));
        let sgd = Optimizer::Sgd { learning_rate: 1e30, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
        LessonBuilder::new(model.learns::<Wish>(Loss::MeanSquaredError, sgd)).every(3).steps(5)
    });
    let before = weights(&game.world, game.model);
    let mut errors = 0;
    for frame in 0..10 {
        game.live(frame);
        if let Err(error) = game.world.run_lesson(game.model) {
            let is_late = matches!(&error, BuildError::Lesson(LessonError::Discarded { step: 1.., .. }));
            assert!(is_late, "{error}");
            errors += 1;
        }
        game.world.infer(game.model).unwrap();
        assert_eq!(weights(&game.world, game.model), before);
    }
    assert_eq!(errors, 3);
    // With a lower rate the next lesson is one of a model that was never disturbed.
    game.world.entity_mut(game.model).insert(Optimizer::Sgd {
        learning_rate: 0.01,
        momentum: 0.9,
        nesterov: false,
        weight_decay: 0.0,
    });
    for _ in 10..12 {
        game.world.run_lesson(game.model).unwrap();
    }
    assert!(game.world.run_lesson(game.model).is_err(), "the one under way had the high rate");
    (13..16).for_each(|_| game.world.run_lesson(game.model).unwrap());
    assert_ne!(weights(&game.world, game.model), before);
}

#[test]
fn weights_that_are_not_finite_are_replaced_by_the_last_good_ones() {
    let mut game = Game::new(lessons);
    (0..14).for_each(|frame| game.frame(frame));
    let good = weights(&game.world, game.model);
    let parameter = game.world.get::<Model>(game.model).unwrap().parameters[1];
    let Parameter { value, name, .. } = game.world.get::<Parameter>(parameter).unwrap().clone();
    let mut spoiled = value.get(&game.world, parameter).unwrap().to_vec();
    spoiled[0] = f32::INFINITY;
    value.set(&mut game.world, parameter, &spoiled).unwrap();
    game.live(14);
    let error = game.world.run_lesson(game.model).unwrap_err().to_string();
    assert!(error.contains(&format!("`{name}` of model `brain` was not finite at frame 14")), "{error}");
    assert_eq!(weights(&game.world, game.model), good);
    (15..19).for_each(|frame| game.frame(frame));
    assert_eq!(game.progress().arrived, 3, "the lesson of that frame began with the good weights");
}

#[test]
fn a_model_that_cannot_be_trained_by_its_components_says_so() {
    let mut game = Game::new(|graph| {
        let model = ModelBuilder::new(graph).name("brain").reads::<Sight>().layer(Linear::new(2));
        let sgd = Optimizer::Sgd { learning_rate: 0.1, momentum: 0.0, nesterov: false, weight_decay: 0.0 };
        LessonBuilder::new(model.learns::<Wish>(Loss::MeanSquaredError, sgd)).every(1)
    });
    game.world.entity_mut(game.model).insert((Optimizer::adam(0.1), LearningRateSchedule::Constant));
    game.world.run_lesson(game.model).unwrap();
    match game.world.run_lesson(game.model).unwrap_err() {
        BuildError::Lesson(LessonError::Discarded { error, .. }) => {
            assert!(matches!(*error, BuildError::CannotLearn { model, .. } if model == game.model), "{error}");
        }
        error => panic!("{error}"),
    }
}

#[test]
fn a_label_out_of_range_names_the_agent() {
    let mut game = Game::new(|graph| {
        let head = |name: &str| Head::new(name).layer(Linear::new(3));
        let model = ModelBuilder::new(graph).reads::<Sight>().layer(Linear::new(4)).head(head("one")).head(head("two"));
        LessonBuilder::new(model.optimizer(Optimizer::adam(0.1))).every(1)
    });
    let agent = game.agents()[5];
    game.world.entity_mut(agent).insert(ClassLabel(3));
    game.world.run_lesson(game.model).unwrap();
    let error = game.world.run_lesson(game.model).unwrap_err().to_string();
    assert!(error.contains(&format!("the label 3 of {agent}")) && error.contains("3 classes"), "{error}");
}

#[test]
fn a_model_may_be_despawned_while_a_lesson_is_under_way() {
    for slices in [false, true] {
        let mut world = World::new();
        register_default::<Sight>(&mut world);
        let graph = Graph::of::<Sight, Edge>(&mut world);
        let agents: Vec<Entity> = (0..500).map(|_| world.spawn((Sight::default(), Split::Train)).id()).collect();
        agents.windows(2).for_each(|pair| _ = world.spawn(Edge { source: pair[0], target: pair[1] }));
        for round in 0..4 {
            let model = brain(graph).observe(|sight: &Sight| [sight.0[0], 1.0]);
            let lessons = LessonBuilder::new(model).every(1000).steps(50);
            let lessons = if slices { lessons.slices(Duration::from_micros(100)) } else { lessons };
            let model = world.spawn_lesson(lessons).unwrap();
            for _ in 0..3 {
                world.run_lesson(model).unwrap();
                world.infer(model).unwrap();
            }
            assert_eq!(world.get::<LessonProgress>(model).unwrap().arrives_at, Some(1000));
            match round % 2 {
                0 => _ = world.despawn(model),
                _ => world.remove_model(model).unwrap(),
            }
            world.flush();
            assert_eq!(world.resource::<FieldPool>().borrowed(), 0);
            assert!(world.run_lesson(model).is_err());
        }
    }
}

/// The squared error, as a user writes it who has not thought of large numbers.
#[derive(Debug)]
struct Careless;

impl Operator for Careless {
    fn name(&self) -> &'static str {
        "careless"
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![inputs[0].shape(), Shape::new(Domain::Single, 1)])
    }

    fn run(&self, step: &mut Step<'_>) {
        let (output, target) = (step.input(0), step.input(1));
        assert!(target.rows().flatten().all(|target| *target < 100.0), "a large target");
        let pairs = output.rows().flatten().zip(target.rows().flatten());
        step.output(0).rows_mut().flatten().zip(pairs).for_each(|(gradient, (z, y))| *gradient = z - y);
        step.output(1).rows_mut().flatten().for_each(|loss| *loss = 0.0);
    }
}

#[test]
fn a_lesson_that_panics_ends_the_lessons_and_not_the_world() {
    for slices in [false, true] {
        let mut game = Game::new(|graph| {
            let model = ModelBuilder::new(graph)
                .reads::<Sight>()
                .layer(Linear::new(2))
                .learns::<Wish>(Loss::MeanSquaredError, Optimizer::adam(0.1));
            let lessons = LessonBuilder::new(model.output_head(|head| head.operator_loss(Careless))).every(2);
            if slices { lessons.slices(Duration::from_millis(1)) } else { lessons }
        });
        (0..6).for_each(|frame| game.frame(frame));
        let before = weights(&game.world, game.model);
        let agent = game.agents()[0];
        game.world.get_mut::<Wish>(agent).unwrap().0[0] = 1000.0;
        game.world.run_lesson(game.model).unwrap();
        game.world.run_lesson(game.model).unwrap();
        let learned = weights(&game.world, game.model);
        assert_ne!(learned, before, "the lesson before arrived");
        for frame in 8..14 {
            let outcome = game.world.run_lesson(game.model);
            assert_eq!(outcome.is_err(), frame % 2 == 0, "frame {frame}");
            if let Err(error) = outcome {
                assert!(
                    error.to_string().contains("ended when one of them panicked; spawn the model again"),
                    "{error}"
                );
            }
            game.world.infer(game.model).unwrap();
            assert_eq!(weights(&game.world, game.model), learned);
        }
    }
}
