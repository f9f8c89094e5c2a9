//! Averaged parameters: those of a loop that averages by hand, measured and kept in place of the last ones.

use connectome::{
    Trainer,
    components::Split,
    output::{EpochReport, Tensor},
    scene::SceneFile,
    systems::Workers,
};

use crate::tasks::{data, scene};

const EPOCHS: u64 = 6;
const DECAY: f32 = 0.7;

/// A training that has ended.
struct Run {
    /// The parameters after the last step of each epoch, and its report.
    epochs: Vec<(Vec<Tensor>, EpochReport)>,
    /// The parameters that are kept.
    kept: Vec<Tensor>,
    /// Their loss on the test split.
    loss: Option<f64>,
}

fn train(scene: &SceneFile, graphs: usize) -> Run {
    let mut trainer = Trainer::new(scene, data(graphs), 7, Workers::single()).unwrap();
    let mut epochs = Vec::new();
    let summary = trainer.train_while(|trainer| {
        epochs.push((trainer.weights(), trainer.report().clone()));
        std::ops::ControlFlow::Continue(())
    });
    let loss = summary.unwrap().get(Split::Test, "loss");
    Run { epochs, kept: trainer.weights(), loss }
}

/// Compares scenes that take one step in each epoch.
#[track_caller]
fn check(rest: &str, graphs: usize) {
    let [plain, averaged] = ["", ", averaging: 0.7"].map(|averaging| {
        let training = format!("epochs: {EPOCHS}, keep: Last{averaging}");
        scene(&rest.replace("EPOCHS", &training))
    });
    let expected = train(&plain, graphs).epochs;
    let Run { epochs: found, kept, loss } = train(&averaged, graphs);
    let mut average = expected[0].0.clone();
    for ((last, _), (of_averaged, _)) in expected.iter().zip(&found) {
        assert!(last == of_averaged, "averages change the steps");
        for (average, last) in average.iter_mut().zip(last) {
            let values = average.values.iter_mut().zip(&last.values);
            values.for_each(|(average, value)| *average += (1.0 - DECAY) * (value - *average));
        }
    }
    assert!(kept == average, "what is kept is no average");
    assert!(average != found[EPOCHS as usize - 1].0, "nothing was learned, so nothing is compared");
    // The averages are measured in each epoch, of which the last one is kept.
    assert_eq!(found[EPOCHS as usize - 1].1.get(Split::Test, "loss"), loss);
    assert_ne!(expected[EPOCHS as usize - 1].1.get(Split::Test, "loss"), loss);
    // The first one is the average after the first step.
    assert_eq!(found[0].1.metrics, expected[0].1.metrics);
}

#[test]
fn averages_are_those_of_a_plain_loop_over_the_steps() {
    check(
        "model: [Dropout(0.3), GcnConv(width: 8), BatchNorm(), Relu, GcnConv(width: 2)], task: NodeClassification,
         training: (EPOCHS)",
        1,
    );
}

#[test]
fn a_pass_whose_gradients_are_accumulated_is_no_step() {
    check(
        "model: [Readout(Sum), Linear(width: 2)], task: GraphClassification,
         training: (EPOCHS, batch_size: 2, accumulation_steps: 8)",
        12,
    );
}

/// What is kept goes on by itself: averages of the training before are not mixed into it.
#[test]
fn another_training_averages_anew() {
    let rest = "model: [Linear(width: 2)], task: NodeClassification, training: (epochs: 1, keep: Last, averaging: 0.9)";
    let mut trainer = Trainer::new(&scene(rest), data(1), 7, Workers::single()).unwrap();
    for _ in 0..2 {
        let mut last = Vec::new();
        trainer
            .train_while(|trainer| {
                last = trainer.weights();
                std::ops::ControlFlow::Continue(())
            })
            .unwrap();
        assert!(trainer.weights() == last, "the average of one step is that step");
    }
}
