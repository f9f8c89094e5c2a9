//! Models that are built again and replaced leave nothing behind.

use super::*;

/// What a world holds: registered components, components of a node, archetypes, tables.
fn census(scene: &Scene) -> [usize; 4] {
    let world = &scene.world;
    let node = world.entity(scene.nodes[0]).archetype().component_count();
    [world.components().len(), node, world.archetypes().len(), world.storages().tables.len()]
}

/// The census after some rebuilds, and after 1,000.
fn rebuilds(describe: impl Fn(&Scene, Field) -> ModelBuilder, learns: bool) -> [[usize; 4]; 2] {
    let (mut scene, input) = labeled();
    let mut after = [[0; 4]; 2];
    let mut seconds = Vec::new();
    for number in 1..=1000 {
        let begin = Instant::now();
        let model = describe(&scene, input).build(&mut scene.world).unwrap();
        seconds.push(begin.elapsed().as_secs_f64());
        run(&mut scene.world, Infer(model)).unwrap();
        if learns {
            run(&mut scene.world, Train(model)).unwrap();
        }
        remove_model(&mut scene.world, model).unwrap();
        assert!(scene.world.get_entity(model).is_err());
        if number == 2 {
            after[0] = census(&scene);
        }
    }
    after[1] = census(&scene);
    println!("build 2 took {:.6} s, build 1000 {:.6} s", seconds[1], seconds[999]);
    after
}

#[test]
fn a_thousand_rebuilds_leave_what_two_left() {
    let [two, thousand] = rebuilds(|scene, input| network(scene.graph, input, Optimizer::adam(0.01)), true);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

#[test]
fn rebuilds_of_a_recurrent_model_leave_what_two_left() {
    let describe = |scene: &Scene, _| ModelBuilder::new(scene.graph).recurrent(3).layer(GcnConv::new(3));
    let [two, thousand] = rebuilds(describe, false);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

#[test]
fn rebuilds_of_a_model_with_targets_of_its_own_leave_what_two_left() {
    let describe = |scene: &Scene, input| {
        let model = ModelBuilder::new(scene.graph).input(input).layer(Linear::new(2));
        let model = model.loss(connectome_components::Loss::MeanSquaredError);
        model.optimizer(Optimizer::adam(0.01))
    };
    let [two, thousand] = rebuilds(describe, true);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

/// A column that another model has used is as good as new.
#[test]
fn a_rebuilt_model_computes_the_bits_of_the_first() {
    let (mut scene, input) = labeled();
    let mut train = || {
        let model = network(scene.graph, input, Optimizer::adam(0.01)).build(&mut scene.world).unwrap();
        (0..3).for_each(|_| run(&mut scene.world, Train(model)).unwrap());
        let learned = (values(&scene.world, model), moments(&scene.world, model));
        remove_model(&mut scene.world, model).unwrap();
        learned
    };
    assert_eq!(train(), train());
}

#[test]
fn a_replaced_model_keeps_what_has_the_same_name_and_shape() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let before = network(scene.graph, input, Optimizer::adam(0.01)).build(world).unwrap();
    (0..3).for_each(|_| run(world, Train(before)).unwrap());
    let known = (values(world, before), moments(world, before));
    let wider = ModelBuilder::new(scene.graph).input(input).seed(8).layer(GcnConv::new(5)).layer(Activation::Relu);
    let wider = wider.layer(Linear::new(CLASSES + 1)).optimizer(Optimizer::adam(0.01));
    let after = replace_model(world, before, wider).unwrap();
    assert!(world.get_entity(before).is_err());
    let kept = (values(world, after), moments(world, after));
    for ((name, known), (_, kept)) in known.0.iter().zip(&kept.0).chain(known.1.iter().zip(&kept.1)) {
        assert_eq!(name.starts_with("layers.0"), known == kept, "{name}");
    }
    assert_eq!(world.get::<TrainingState>(after).unwrap().step, 3, "its moments are of three steps");
    run(world, Train(after)).unwrap();
    assert_ne!(values(world, after), kept.0);
}

/// Squares would be read out of velocities.
#[test]
fn a_replaced_model_forgets_the_moments_of_another_kind_of_optimizer() {
    let (mut scene, input) = labeled();
    let world = &mut scene.world;
    let momentum = Optimizer::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    let squares = Optimizer::RmsProp { learning_rate: 0.01, decay: 0.9, epsilon: 1e-8, weight_decay: 0.0 };
    let before = network(scene.graph, input, momentum).build(world).unwrap();
    (0..3).for_each(|_| run(world, Train(before)).unwrap());
    let known = values(world, before);
    let after = replace_model(world, before, network(scene.graph, input, squares)).unwrap();
    assert_eq!(values(world, after), known);
    assert!(moments(world, after).iter().all(|(_, moments)| moments.iter().all(|moment| *moment == 0)));
}

/// The targets that a head has of its own are borrowed as its other columns are.
#[test]
fn rebuilds_of_a_model_of_many_sides_leave_what_two_left() {
    let describe = |scene: &Scene, input| many_sided(scene.graph, input, 1).writes::<Guess>();
    let [two, thousand] = rebuilds(describe, true);
    assert_eq!(two, thousand, "components, components of a node, archetypes, tables");
}

/// Memory that the process has taken, in bytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    pages.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// Without an app, nobody calls `World::clear_trackers`.
#[cfg(target_os = "linux")]
#[test]
fn steps_in_a_world_without_an_app_take_no_memory() {
    // In a process of its own, for other tests take memory meanwhile.
    const ALONE: &str = "CONNECTOME_TEST_ALONE";
    if std::env::var_os(ALONE).is_none() {
        // The tests of a program are named without it.
        let module = module_path!().split_once("::").unwrap().1;
        let name = format!("{module}::steps_in_a_world_without_an_app_take_no_memory");
        let mut alone = std::process::Command::new(std::env::current_exe().unwrap());
        let output = alone.args(["--exact", &name, "--nocapture"]).env(ALONE, "").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}{}",
            String::from_utf8_lossy(&output.stderr)
        );
        return;
    }
    let mut scene = Scene::new(2, &[Link { source: 0, target: 1, weight: None }]);
    let world = &mut scene.world;
    let models = [1, 2].map(|seed| {
        let model = ModelBuilder::new(scene.graph).seed(seed).input_width(1).layer(GcnConv::new(1));
        model.build(world).unwrap()
    });
    add_model_to_schedule(world, Tick, Infer(models[1])).unwrap();
    let steps: [&dyn Fn(&mut World); 2] =
        [&|world| run(world, Infer(models[0])).unwrap(), &|world| run(world, Tick).unwrap()];
    let count = 50_000;
    for step in steps {
        (0..2000).for_each(|_| step(world));
        // What leaks does so every time. It were 110 bytes for each step.
        let growths = [(); 3].map(|()| {
            let before = resident();
            (0..count).for_each(|_| step(world));
            resident().saturating_sub(before)
        });
        println!("{growths:?} bytes in {count} steps each");
        assert!(growths.iter().any(|grown| *grown < 40 * count), "{growths:?} bytes in {count} steps each");
    }
}
