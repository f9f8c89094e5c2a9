//! Several models in one schedule.

use super::*;

/// Three models that learn or infer, one of them recurrent, as bits after some steps.
fn side_by_side(together: bool) -> Vec<Vec<u32>> {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let learner = |world: &mut World, seed: u64, optimizer| {
        let model = ModelBuilder::new(scene.graph).input(input).seed(seed).layer(GcnConv::new(5));
        let model = model.layer(Activation::Relu).layer(Dropout(0.3)).layer(Linear::new(CLASSES));
        model.optimizer(optimizer).build(world).unwrap()
    };
    let learners = [learner(world, 1, Optimizer::adam(0.01)), learner(world, 2, Optimizer::sgd(0.1))];
    let recurrent = ModelBuilder::new(scene.graph).recurrent(3).seed(3).layer(GcnConv::new(3)).layer(Activation::Tanh);
    let recurrent = recurrent.build(world).unwrap();
    let nodes = input.domain();
    attach_fields(world, nodes);
    let state = output_of(world, recurrent);
    for (number, node) in scene.nodes.iter().enumerate() {
        state.set(world, *node, &[number as f32 / 40.0, 0.5, -0.25]).unwrap();
    }
    if together {
        learners.iter().for_each(|model| add_model_to_schedule(world, Tick, Train(*model)).unwrap());
        add_model_to_schedule(world, Tick, Infer(recurrent)).unwrap();
    }
    for _ in 0..5 {
        if together {
            run(world, Tick).unwrap();
        } else {
            learners.iter().for_each(|model| run(world, Train(*model)).unwrap());
            run(world, Infer(recurrent)).unwrap();
        }
    }
    let mut found: Vec<Vec<u32>> = Vec::new();
    for model in learners {
        found.extend(values(world, model).into_iter().chain(moments(world, model)).map(|(_, bits)| bits));
        let metrics = world.get::<Metrics>(model).unwrap().of(Split::Train);
        found.push(vec![metrics.loss().to_bits(), world.get::<TrainingState>(model).unwrap().step as u32]);
    }
    let state: Vec<u32> = output_of(world, recurrent).matrix(world).rows().flatten().map(|n| n.to_bits()).collect();
    assert!(state.iter().any(|number| *number != 0));
    found.push(state);
    found
}

#[test]
fn models_in_one_schedule_give_the_bits_of_one_after_the_other() {
    assert_eq!(side_by_side(true), side_by_side(false));
}

/// The systems of one model in the schedule `Tick`.
fn systems_of(schedule: &Schedule, model: Entity) -> Vec<(String, &SystemAccess)> {
    let sets = GraphSystems::ALL.map(|phase| schedule.graph().systems_in_set(ModelSystems(model, phase).intern()));
    let keys: Vec<SystemKey> = sets.into_iter().flatten().flatten().copied().collect();
    let systems = schedule.systems_with_access().unwrap().filter(|(key, _)| keys.contains(key));
    systems.map(|(_, system)| (system.system().name().to_string(), system.access())).collect()
}

/// Else the executor runs them one after the other.
#[test]
fn no_system_of_a_model_waits_for_one_of_another() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let mut learner = || {
        let model = network(scene.graph, input, Optimizer::adam(0.01)).layer(BatchNorm::new()).clip_norm(1.0);
        let model = model.accumulate_gradients(2).build(world).unwrap();
        add_model_to_schedule(world, Tick, Train(model)).unwrap();
        model
    };
    let mut models = vec![learner(), learner(), learner()];
    // The next one takes over the number of the first.
    remove_model(world, models.remove(0)).unwrap();
    models.push(network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap());
    add_model_to_schedule(world, Tick, Train(models[2])).unwrap();
    let schedule = world.resource::<Schedules>().get(Tick).unwrap();
    for (one, other) in [(0, 1), (0, 2), (1, 2)] {
        let [one, other] = [one, other].map(|index| systems_of(schedule, models[index]));
        assert!(one.len() >= 6 && other.len() >= 6, "{one:?}");
        for (name, access) in &one {
            let conflicts = other.iter().filter(|(_, other)| !access.is_compatible(other));
            assert_eq!(conflicts.map(|(name, _)| name).collect::<Vec<_>>(), [&""; 0], "{name}");
        }
    }
    // Against a query of all models each of them is to be ordered.
    let error = add_systems(world, Tick, |_: Query<&mut Metrics>| {}).unwrap_err().to_string();
    assert_eq!(error.matches("cross_entropy").count(), 3, "{error}");
}

#[test]
fn a_schedule_of_ones_own_derives_each_topology_once_and_runs_systems_in_order() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let models = [1, 2].map(|seed| network(scene.graph, input, STANDSTILL).seed(seed).build(world).unwrap());
    world.init_resource::<Seen>();
    for model in models {
        add_model_to_schedule(world, Tick, Evaluate(model)).unwrap();
        assert!(add_model_to_schedule(world, Tick, Infer(model)).is_err(), "it is in there already");
    }
    let outputs = models.map(|model| output_of(world, model));
    let note = |name| move |mut seen: ResMut<Seen>| seen.0.push(name);
    let act = (outputs[0].read(), outputs[1].read()).build_state(world).build_system(|one: Column, other: Column| {
        assert!(one.matrix().rows().chain(other.matrix().rows()).flatten().any(|number| *number != 0.0));
    });
    let systems = (
        note("observe").in_set(GraphSystems::Observe),
        note("between")
            .after(ModelSystems(models[0], GraphSystems::Forward))
            .before(ModelSystems(models[0], GraphSystems::Loss)),
        (act.with_name("act"), note("act")).chain().in_set(GraphSystems::Act),
    );
    add_systems(world, Tick, systems).unwrap();
    let version = world.get::<Topology>(scene.graph).unwrap().version;
    run(world, Tick).unwrap();
    assert_eq!(world.get::<Topology>(scene.graph).unwrap().version, version + 1);
    assert_eq!(world.resource::<Seen>().0, ["observe", "between", "act"]);
    let topologies = connectome_systems::describe_schedule(world, Tick)
        .into_iter()
        .filter(|system| system.name == "rebuild_topologies");
    assert_eq!(topologies.count(), 1);
}

/// One of two models reads what the other writes: that is a race until they are put in order.
#[test]
fn a_model_that_reads_another_ones_output_is_to_be_ordered() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let first = ModelBuilder::new(scene.graph).input(input).layer(GcnConv::new(3)).build(world).unwrap();
    let output = output_of(world, first);
    let second = ModelBuilder::new(scene.graph).input(output).layer(Linear::new(2)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Infer(first)).unwrap();
    let error = add_model_to_schedule(world, Tick, Infer(second)).unwrap_err().to_string();
    assert!(error.contains("forward"), "{error}");
    run(world, Tick).unwrap();
    let set = |model| ModelSystems(model, GraphSystems::Forward);
    world.resource_mut::<Schedules>().configure_sets(Tick, set(first).before(set(second)));
    add_model_to_schedule(world, Tick, Infer(second)).unwrap();
    run(world, Tick).unwrap();
    let found = scene.output(second).unwrap();
    run(&mut scene.world, Infer(first)).unwrap();
    run(&mut scene.world, Infer(second)).unwrap();
    assert_eq!(scene.output(second).unwrap(), found);
}

#[test]
fn a_model_leaves_the_schedules_that_it_shares() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let stays = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Train(stays)).unwrap();
    let count = |world: &World| connectome_systems::describe_schedule(world, Tick).len();
    let alone = count(world);
    for _ in 0..5 {
        let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
        add_model_to_schedule(world, Tick, Train(model)).unwrap();
        run(world, Tick).unwrap();
        assert!(count(world) > alone);
        world.despawn(model);
        assert_eq!(count(world), alone);
        assert!(learns_in(world, stays));
    }
    let model = network(scene.graph, input, Optimizer::sgd(0.01)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Train(model)).unwrap();
    // What keeps one model from its step is said, and the other goes on.
    world.entity_mut(model).insert(Optimizer::adam(0.01));
    let before = values(world, stays);
    assert!(message(run(world, Tick)).contains("replace_model"));
    assert_ne!(values(world, stays), before);
    world.run_schedule(Tick);
    assert!(take_error(world, model).is_some());
    assert!(take_error(world, model).is_none());
    // Taken out by a system of the schedule itself.
    let leave = move |mut commands: Commands| commands.entity(model).try_despawn();
    add_systems(world, Tick, leave.in_set(GraphSystems::Act)).unwrap();
    run(world, Tick).unwrap();
    assert!(world.get_entity(model).is_err());
    assert!(learns_in(world, stays));
    let model = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    add_model_to_schedule(world, Tick, Train(model)).unwrap();
    run(world, Tick).unwrap();
}

/// Heads, buffers, copies of components and faults of learning are the same in a schedule of the user's.
#[test]
fn heads_copies_and_faults_are_the_same_in_a_schedule_of_ones_own() {
    let [apart, together] = [false, true].map(|together| {
        let (mut scene, input) = labeled();
        let world = &mut scene.world;
        let first = many_sided(scene.graph, input, 1).writes::<Guess>().build(world).unwrap();
        let second = many_sided(scene.graph, input, 2).build(world).unwrap();
        for model in [first, second] {
            if together {
                add_model_to_schedule(world, Tick, Train(model)).unwrap();
            }
        }
        let step = |world: &mut World, fault: bool| {
            let outcome = if together {
                run(world, Tick)
            } else {
                let outcomes = [first, second].map(|model| run(world, Train(model)));
                outcomes.into_iter().find(Result::is_err).unwrap_or(Ok(()))
            };
            assert_eq!(matches!(outcome, Err(BuildError::Learning(LearningError::Label { .. }))), fault, "{outcome:?}");
        };
        (0..3).for_each(|_| step(world, false));
        let before = [first, second].map(|model| values(world, model));
        world.entity_mut(scene.nodes[3]).insert(ClassLabel(99));
        step(world, true);
        assert_eq!([first, second].map(|model| values(world, model)), before, "a step at fault moves nothing");
        world.entity_mut(scene.nodes[3]).insert(ClassLabel(0));
        if together {
            assert!(take_error(world, second).is_none(), "`run` has taken all faults");
        }
        (0..2).for_each(|_| step(world, false));
        let guesses: Vec<[u32; 2]> =
            scene.nodes.iter().map(|node| world.get::<Guess>(*node).unwrap().0.map(f32::to_bits)).collect();
        assert!(guesses.iter().any(|guess| *guess != [0, 0]));
        let learned = [first, second].map(|model| values(world, model));
        if together {
            world.despawn(first);
            run(world, Tick).unwrap();
            world.entity_mut(scene.nodes[3]).insert(ClassLabel(99));
            world.run_schedule(Tick);
            let error = take_error(world, second).unwrap();
            assert!(matches!(error, BuildError::Learning(LearningError::Label { label: 99, .. })), "{error}");
        }
        (guesses, learned)
    });
    assert_eq!(apart, together);
}

fn learns_in(world: &mut World, model: Entity) -> bool {
    let before = values(world, model);
    run(world, Tick).unwrap();
    values(world, model) != before
}
