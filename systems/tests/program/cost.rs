//! What operations cost, and which could run beside each other.

use super::{
    Activation, Domain, Layout, Mode, Normalization, Pass, Plan, Program, Shape, activate, add, aggregate, linear,
    plan, program, scale, weight,
};
use bevy_ecs::entity::Entity;
use connectome_systems::program::RowCounts;

const ROWS: RowCounts = RowCounts { nodes: 10, edges: 30, subgraphs: 1, kinds: Vec::new(), graphs: Vec::new() };

fn cost(plan: &Plan) -> Vec<[usize; 2]> {
    let operations = plan.operations(Pass::Forward).iter();
    operations.map(|operation| [plan.multiplications(operation, &ROWS), plan.bytes_moved(operation, &ROWS)]).collect()
}

#[test]
fn multiplications_and_bytes() {
    let (mut p, x) = program(4);
    let w = weight(&mut p, "w", [4, 3]);
    let y = linear(&mut p, x, &w, None).unwrap();
    let sums = aggregate(&mut p, y, Normalization::Mean).unwrap();
    p.head("output", sums);
    // A product of 4 x 3 for each node; each sum has a term for each edge and for the node itself, which is scaled.
    assert_eq!(cost(&plan(&p, Mode::Inference)), [[10 * 12, 4 * (40 + 12 + 30)], [(40 + 10) * 3, 4 * (30 + 30)]]);
}

#[test]
fn of_sparse_rows_what_is_stored_counts() {
    let mut p = Program::new(Entity::PLACEHOLDER);
    let x = p.sparse_input("x", Shape::new(Domain::NODES, 100), 5);
    let w = weight(&mut p, "w", [100, 3]);
    let y = linear(&mut p, x, &w, None).unwrap();
    p.head("output", y);
    assert_eq!(cost(&plan(&p, Mode::Inference)), [[10 * 5 * 3, 4 * (2 * 50 + 300 + 30)]]);
}

#[test]
fn branches_stand_on_one_level() {
    let (mut p, x) = program(3);
    let first = activate(&mut p, x, Activation::Tanh).unwrap();
    let second = activate(&mut p, x, Activation::Relu).unwrap();
    let second = scale(&mut p, second, 2.0).unwrap();
    let y = add(&mut p, [(first, 1.0), (second, 1.0)]).unwrap();
    p.head("output", y);
    let plan = Plan::new(&p, Mode::Inference, &mut Layout::default()).unwrap();
    assert_eq!(plan.levels(Pass::Forward), [0, 0, 1, 2]);
}

#[test]
fn a_change_in_place_waits_for_those_who_read_before() {
    let (mut p, x) = program(3);
    let w = weight(&mut p, "w", [3, 3]);
    let h = linear(&mut p, x, &w, None).unwrap();
    let y = linear(&mut p, h, &w, None).unwrap();
    p.head("first", y);
    p.head("second", h);
    // The gradient of `h` is what the second loss wrote, to which the first one is added; `d w` is written, then added to.
    let plan = plan(&p, Mode::Training);
    let text = plan.to_string();
    assert_eq!(plan.levels(Pass::Backward), [0, 0, 1], "{text}");
}
