//! Lessons in a world that is rolled back, or loaded from bytes.

use super::*;
use connectome_systems::snapshot::{Snapshot, SnapshotError, SnapshotRing};
use core::time::Duration;

impl Game {
    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.graph).model(self.model).with_saved::<Sight>().with_saved::<Wish>().with_saved::<Deed>()
    }
}

const FRAMES: u64 = 60;

#[test]
fn frames_that_are_played_again_have_the_same_bits() {
    for slices in [false, true] {
        let lessons = |graph| {
            let lessons = lessons(graph);
            if slices { lessons.slices(Duration::from_micros(30)) } else { lessons }
        };
        let expected = Game::new(lessons).play(FRAMES);
        let mut game = Game::new(lessons);
        let mut ring = SnapshotRing::new(game.snapshot(), 16);
        let mut frame = 0;
        let mut rollbacks = 0;
        let mut draws = 0;
        while frame < FRAMES {
            game.frame(frame);
            assert!(game.bits() == expected[frame as usize], "frame {frame} after {rollbacks} rollbacks");
            assert_eq!(game.progress().frame, frame + 1);
            ring.take(&game.world, frame).unwrap();
            frame += 1;
            draws += 1;
            let [chance, depth] = draw(9, draws);
            // Also to frames before the begin of the lesson under way, and before the last arrival.
            let back = frame.saturating_sub(1 + (depth * 15.0) as u64);
            if chance < 0.15 && rollbacks < 40 && ring.get(back).is_some() {
                ring.restore(&mut game.world, back).unwrap();
                assert!(game.bits() == expected[back as usize], "restored frame {back}");
                frame = back + 1;
                rollbacks += 1;
            }
        }
        assert!(rollbacks > 5, "{rollbacks}");
    }
}

#[test]
fn another_history_after_a_rollback_is_that_of_a_world_that_had_no_other() {
    // Different frames 12 to 20, which are undone.
    let mut game = Game::new(lessons);
    let mut snapshot = game.snapshot();
    (0..9).for_each(|frame| game.frame(frame));
    snapshot.take(&game.world).unwrap();
    (300..321).for_each(|frame| game.frame(frame));
    snapshot.restore(&mut game.world).unwrap();
    let mut plain = Game::new(lessons);
    (0..9).for_each(|frame| plain.frame(frame));
    for frame in 9..40 {
        game.frame(frame);
        plain.frame(frame);
        assert!(game.bits() == plain.bits(), "frame {frame}");
    }
}

#[test]
fn a_world_that_is_loaded_from_bytes_goes_on_with_the_same_bits() {
    // At 9 a lesson is under way, at 13 none is.
    for saved in [9, 13, 21] {
        let mut game = Game::new(lessons);
        (0..saved).for_each(|frame| game.frame(frame));
        let mut snapshot = game.snapshot();
        snapshot.take(&game.world).unwrap();
        let bytes = snapshot.to_bytes().unwrap();
        let mut other = Game::empty(|graph| lessons(graph).slices(Duration::from_millis(1)));
        let mut loaded = other.snapshot();
        loaded.load(&other.world, &bytes).unwrap();
        assert_eq!(loaded.checksum(), snapshot.checksum());
        loaded.restore(&mut other.world).unwrap();
        for frame in saved..FRAMES {
            game.frame(frame);
            other.frame(frame);
            assert!(game.bits() == other.bits(), "frame {frame} of the world saved at {saved}");
            assert_eq!(game.progress().arrives_at, other.progress().arrives_at);
            assert_eq!(game.progress().loss.to_bits(), other.progress().loss.to_bits());
        }
    }
}

#[test]
fn checksums_tell_lessons_apart() {
    let checksum = |frames: u64, steps: u32| {
        let mut game = Game::new(|graph| lessons(graph).steps(steps));
        (0..frames).for_each(|frame| game.frame(frame));
        let mut snapshot = game.snapshot();
        snapshot.take(&game.world).unwrap();
        snapshot.checksum().unwrap()
    };
    assert_eq!(checksum(9, 3), checksum(9, 3));
    assert_ne!(checksum(3, 3), checksum(3, 2), "before any weights have arrived");
}

#[test]
fn bytes_of_other_lessons_are_refused() {
    let mut game = Game::new(lessons);
    (0..9).for_each(|frame| game.frame(frame));
    let mut snapshot = game.snapshot();
    snapshot.take(&game.world).unwrap();
    let bytes = snapshot.to_bytes().unwrap();
    for others in [
        |graph| lessons(graph).steps(4),
        |graph| lessons(graph).arrives_after(5),
        |graph| LessonBuilder::new(brain(graph).optimizer(Optimizer::sgd(0.1))).every(7).arrives_after(4).steps(3),
    ] {
        let mut other = Game::empty(others);
        (0..2).for_each(|number| _ = other.spawn(number));
        other.world.run_lesson(other.model).unwrap();
        let before = weights(&other.world, other.model);
        let mut loaded = other.snapshot();
        let error = loaded.load(&other.world, &bytes).unwrap_err();
        assert!(matches!(error, SnapshotError::OtherModel { .. }), "{error}");
        assert!(error.to_string().contains("build it by the same `LessonBuilder`"), "{error}");
        assert_eq!(weights(&other.world, other.model), before);
        assert_eq!(other.progress().frame, 1);
    }
    // A model without lessons, of the same layers.
    let mut world = World::new();
    register_default::<Sight>(&mut world);
    let graph = Graph::of::<Sight, Edge>(&mut world);
    let model = ModelBuilder::new(graph).seed(5).reads::<Sight>().layer(Dropout(0.2)).layer(SageConv::new(6));
    let model = model.layer(BatchNorm::new()).layer(Activation::Tanh).layer(Linear::new(2)).writes::<Deed>();
    let model = world.spawn_model(model).unwrap();
    let mut loaded = Snapshot::new(graph).model(model).with_saved::<Sight>().with_saved::<Wish>().with_saved::<Deed>();
    assert!(matches!(loaded.load(&world, &bytes), Err(SnapshotError::OtherModel { .. })));
}
