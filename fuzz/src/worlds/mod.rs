//! Worlds: whatever happened to a graph, its model computes what it does in a world that was built anew.
//!
//! An input is a recipe of a model and a sequence of events. At each step of the model
//! - the topology is that of the edges that were recorded, and of another one that is derived from nothing;
//! - a world is spawned anew from the record, with the weights of the model, and takes the same step: output, loss, weights
//!   and moments have the same bits.
//!
//! A world that is rolled back to a snapshot has the weights, moments and metrics of that frame, and is compared
//! likewise.

mod anew;
mod event;
mod frames;
mod life;
mod recipe;
mod record;
mod topology;

use arbitrary::Unstructured;

use event::Event;
use life::Life;
use recipe::Recipe;

/// The most events of an input, and the most steps among them, which take longest.
const MAX_EVENTS: usize = 200;
const MAX_STEPS: usize = 8;

/// What happens to a world.
pub fn world(bytes: &[u8]) {
    let mut bytes = Unstructured::new(bytes);
    let Ok(recipe) = bytes.arbitrary::<Recipe>() else { return };
    let mut life = Life::new(recipe);
    let mut steps = 0;
    for _ in 0..MAX_EVENTS {
        if bytes.is_empty() || steps == MAX_STEPS {
            break;
        }
        let Ok(event) = bytes.arbitrary::<Event>() else { break };
        if std::env::var_os("CONNECTOME_FUZZ_PRINT").is_some() {
            println!("{event:?}");
        }
        steps += usize::from(matches!(event, Event::Step(_) | Event::RollBack(_)));
        life.play(event);
    }
    life.play(Event::Step(event::Step::Train));
}
