//! A field is the column of its entities: what is written for an entity is read for it again, by entity and by row,
//! wherever bevy moves it.
//!
//! Small enough for Miri (`cargo miri test -p connectome-components`), since here the unsafe code is at work: views are
//! written and read in every way, over several tables and both halves of double buffers. A failure names the width or
//! the entity; one of Miri the access.

use bevy_ecs::{
    prelude::*,
    system::{RunSystemOnce, SystemParamBuilder},
};
use bytemuck::{Pod, Zeroable};
use connectome_components::{
    ClassLabel, Column, ColumnMut, DoubleBuffer, Edge, Field, FieldError, GraphNode, Marker, Parity, Split,
    attach_fields, insert_default, register_default,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Puts an entity into another table.
#[derive(Component)]
struct Marked;

/// Puts an entity into yet another.
#[derive(Component)]
struct Named(#[expect(dead_code, reason = "it only takes up room")] String);

/// A world with a field on its nodes.
struct Scene {
    world: World,
    field: Field,
}

impl Scene {
    fn of_width(width: usize) -> Self {
        let mut world = World::new();
        let nodes = world.register_component::<GraphNode>();
        let field = Field::register(&mut world, "numbers", nodes, width).unwrap();
        Self { world, field }
    }

    fn attach(&mut self) {
        attach_fields(&mut self.world, self.field.domain());
    }

    /// Three nodes in a table each, two in the first, all filled.
    fn of_three_tables(width: usize) -> (Self, [Entity; 4]) {
        let mut scene = Self::of_width(width);
        let world = &mut scene.world;
        let nodes = [
            world.spawn(GraphNode).id(),
            world.spawn((GraphNode, Marked)).id(),
            world.spawn((GraphNode, Named("far".to_owned()))).id(),
            world.spawn(GraphNode).id(),
        ];
        scene.attach();
        nodes.iter().for_each(|node| scene.fill(*node));
        (scene, nodes)
    }

    fn fill(&mut self, node: Entity) {
        let row = self.row_of(node);
        self.field.set(&mut self.world, node, &row).unwrap();
    }

    /// Numbers that no other entity has.
    fn row_of(&self, node: Entity) -> Vec<f32> {
        (0..self.field.width()).map(|column| (1000 * (node.index_u32() + 1)) as f32 + column as f32).collect()
    }

    /// Every node has its own numbers, and they are the rows of the matrix, each once.
    fn check(&mut self) {
        let nodes: Vec<Entity> = self.world.query_filtered::<Entity, With<GraphNode>>().iter(&self.world).collect();
        for node in &nodes {
            assert_eq!(self.field.get(&self.world, *node).unwrap(), self.row_of(*node), "{node}");
        }
        let matrix = self.field.matrix(&self.world);
        let mut expected: Vec<Vec<f32>> = nodes.iter().map(|node| self.row_of(*node)).collect();
        let mut found: Vec<Vec<f32>> = matrix.rows().map(<[f32]>::to_vec).collect();
        expected.sort_by(|a, b| a[0].total_cmp(&b[0]));
        found.sort_by(|a, b| a[0].total_cmp(&b[0]));
        assert_eq!(found, expected);
        assert_eq!(matrix.row_count(), nodes.len());
        assert!(matrix.rows().enumerate().all(|(index, row)| row == matrix.row(index)));
    }
}

/// Every width up to 130; a few of them under Miri, which is slow.
fn widths() -> impl Iterator<Item = usize> {
    (1..=130).step_by(if cfg!(miri) { 43 } else { 1 })
}

#[test]
fn rows_of_every_width_are_kept() {
    for width in widths() {
        let (mut scene, nodes) = Scene::of_three_tables(width);
        scene.check();
        for chunk in scene.field.matrix(&scene.world).chunks() {
            assert_eq!(chunk.1.len() % width, 0, "width {width}");
        }
        scene.field.matrix_mut(&mut scene.world).rows_mut().flatten().for_each(|number| *number += 0.5);
        let moved: Vec<f32> = scene.row_of(nodes[1]).iter().map(|number| number + 0.5).collect();
        assert_eq!(scene.field.get(&scene.world, nodes[1]).unwrap(), moved, "width {width}");
    }
}

#[test]
fn rows_start_on_boundaries_of_their_vectors() {
    for (width, alignment) in [(1, 4), (2, 8), (3, 4), (4, 16), (8, 32), (16, 64), (32, 64), (48, 64), (24, 32)] {
        let (scene, nodes) = Scene::of_three_tables(width);
        for node in nodes {
            let address = scene.field.get(&scene.world, node).unwrap().as_ptr().addr();
            assert_eq!(address % alignment, 0, "width {width}");
        }
    }
}

#[test]
fn fields_start_as_zeros_and_attaching_again_leaves_them() {
    let mut scene = Scene::of_width(3);
    let node = scene.world.spawn(GraphNode).id();
    let missing = FieldError::NotOnEntity { entity: node, name: "numbers".to_owned() };
    assert_eq!(scene.field.get(&scene.world, node), Err(missing));
    scene.attach();
    assert_eq!(scene.field.get(&scene.world, node), Ok(&[0.0; 3][..]));
    scene.fill(node);
    let late = scene.world.spawn(GraphNode).id();
    assert_eq!(scene.field.matrix(&scene.world).row_count(), 1, "a node is in the column once it has the field");
    scene.attach();
    assert_eq!(scene.field.get(&scene.world, late), Ok(&[0.0; 3][..]));
    scene.fill(late);
    scene.check();
}

#[test]
fn rows_follow_their_entities() {
    let (mut scene, nodes) = Scene::of_three_tables(5);
    scene.world.despawn(nodes[0]);
    scene.check();
    scene.world.entity_mut(nodes[3]).insert(Marked);
    scene.check();
    scene.world.entity_mut(nodes[1]).remove::<Marked>();
    scene.check();
    let late = scene.world.spawn((GraphNode, Marked)).id();
    scene.attach();
    scene.fill(late);
    scene.check();
    for node in [nodes[1], nodes[2], nodes[3], late] {
        scene.world.despawn(node);
    }
    scene.check();
    assert_eq!(scene.field.matrix(&scene.world).rows().count(), 0);
}

#[test]
fn a_column_of_several_tables_is_one_matrix() {
    let (mut scene, _) = Scene::of_three_tables(2);
    let matrix = scene.field.matrix(&scene.world);
    let starts: Vec<usize> = matrix.chunks().map(|(start, _)| start).collect();
    assert_eq!((starts, matrix.row_count()), (vec![0, 2, 3], 4));
    assert_eq!(matrix.slice(0..2), [matrix.row(0), matrix.row(1)].concat());
    assert_eq!(matrix.slice(2..3), matrix.row(2));
    assert_eq!(matrix.views().map(|view| view.nrows()).collect::<Vec<_>>(), [2, 1, 1]);
    let before: Vec<f32> = matrix.rows().flatten().copied().collect();
    for (index, row) in scene.field.matrix_mut(&mut scene.world).rows_mut().enumerate() {
        row[1] = index as f32;
    }
    let matrix = scene.field.matrix(&scene.world);
    for row in 0..4 {
        assert_eq!(matrix.row(row), [before[2 * row], row as f32]);
    }
    let mut writable = scene.field.matrix_mut(&mut scene.world);
    assert_eq!(writable.as_matrix().row(3)[1], 3.0);
    writable = scene.field.matrix_mut(&mut scene.world);
    writable.views_mut().for_each(|mut view| view.fill(9.0));
    assert!(scene.field.matrix(&scene.world).rows().flatten().all(|number| *number == 9.0));
}

#[test]
fn an_entity_may_have_a_field_of_its_own() {
    let mut world = World::new();
    let [owner, other] = [world.spawn_empty().id(), world.spawn_empty().id()];
    let field = Field::<u32>::register_on(&mut world, owner, "own", 3).unwrap();
    field.set(&mut world, owner, &[4, 5, 6]).unwrap();
    assert_eq!(field.matrix(&world).row(0), [4, 5, 6]);
    assert_eq!(field.matrix(&world).row_count(), 1);
    assert!(field.get(&world, other).is_err());
    world.despawn(owner);
    assert_eq!(field.matrix(&world).row_count(), 0);
    let error = Field::<u32>::register_on(&mut world, owner, "own", 3).unwrap_err();
    assert_eq!(error, FieldError::NotOnEntity { entity: owner, name: "own".to_owned() });
}

#[test]
fn what_cannot_be_is_an_error_with_a_name() {
    let (mut scene, nodes) = Scene::of_three_tables(4);
    let on = scene.field.domain();
    let name = || "numbers".to_owned();
    assert_eq!(Field::<f32>::register(&mut scene.world, "numbers", on, 0), Err(FieldError::ZeroWidth { name: name() }));
    for width in [usize::MAX, usize::MAX / 4, isize::MAX as usize / 4 + 1] {
        let error = Field::<f32>::register(&mut scene.world, "numbers", on, width);
        assert_eq!(error, Err(FieldError::TooWide { name: name(), width }));
    }
    for row in [&[1.0; 3][..], &[1.0; 5], &[]] {
        let error = scene.field.set(&mut scene.world, nodes[0], row).unwrap_err();
        assert_eq!(error, FieldError::WrongLength { name: name(), expected: 4, found: row.len() });
    }
    scene.world.despawn(nodes[0]);
    let dead = FieldError::NotOnEntity { entity: nodes[0], name: name() };
    assert_eq!(scene.field.get(&scene.world, nodes[0]), Err(dead.clone()));
    assert_eq!(scene.field.set(&mut scene.world, nodes[0], &[0.0; 4]), Err(dead));
    scene.check();
}

#[test]
fn a_component_in_sparse_set_storage_is_no_field() {
    #[derive(Component, Default)]
    #[component(storage = "SparseSet")]
    struct Fleeting;
    let mut world = World::new();
    let nodes = world.register_component::<GraphNode>();
    let error = Field::<Fleeting>::of_component(&mut world, nodes).unwrap_err();
    assert!(matches!(&error, FieldError::NotInTable { name } if name.contains("Fleeting")), "{error}");
}

#[test]
fn components_are_given_by_their_id() {
    #[derive(Component, Clone, Copy, Debug, PartialEq)]
    struct Mood(f32);
    impl Default for Mood {
        fn default() -> Self {
            Self(0.5)
        }
    }
    let mut world = World::new();
    let marker = Marker::register(&mut world, "marker").id();
    let [node, mood] = [world.register_component::<GraphNode>(), world.register_component::<Mood>()];
    let [first, dead, last] = [(); 3].map(|()| world.spawn_empty().id());
    world.despawn(dead);
    let all = [first, dead, last];
    for id in [marker, node] {
        insert_default(&mut world, &all, id).unwrap();
    }
    for entities in [&all[..], &[]] {
        let error = insert_default(&mut world, entities, mood).unwrap_err();
        assert!(matches!(&error, FieldError::NoDefault { name } if name.contains("Mood")), "{error}");
    }
    assert_eq!(register_default::<Mood>(&mut world), mood);
    insert_default(&mut world, &all, mood).unwrap();
    for entity in [first, last] {
        assert_eq!(world.get::<Mood>(entity), Some(&Mood(0.5)));
        assert!(world.entity(entity).contains_id(marker) && world.entity(entity).contains_id(node));
    }
}

#[test]
fn marked_entities_are_spawned_in_order_with_their_fields() {
    // More markers than there are types for; with fields and without; more entities than are spawned at once.
    let count = if cfg!(miri) { 20 } else { 5000 };
    let mut world = World::new();
    for number in 0..10 {
        let marker = Marker::register(&mut world, "marker");
        let field = (number % 2 == 0).then(|| Field::<f32>::register(&mut world, "numbers", marker.id(), 3).unwrap());
        let labels = (0..count).map(|label| (GraphNode, ClassLabel(label)));
        let entities = marker.spawn(&mut world, labels);
        assert_eq!(entities.len(), count as usize);
        for (label, entity) in (0..).zip(&entities) {
            assert_eq!(world.get::<ClassLabel>(*entity), Some(&ClassLabel(label)));
            assert!(world.entity(*entity).contains_id(marker.id()));
        }
        let table = world.entity(entities[0]).location().table_id;
        assert_eq!(world.storages().tables[table].entities(), entities);
        if let Some(field) = field {
            field.set(&mut world, entities[1], &[1.0, 2.0, 3.0]).unwrap();
            let matrix = field.matrix(&world);
            assert_eq!((matrix.row(0), matrix.row(1)), (&[0.0; 3][..], &[1.0, 2.0, 3.0][..]));
        }
        assert_eq!(marker.spawn(&mut world, core::iter::empty::<GraphNode>()), []);
    }
}

#[test]
fn another_world_is_refused() {
    let (scene, nodes) = Scene::of_three_tables(2);
    let mut other = Scene::of_three_tables(2).0.world;
    let field = scene.field;
    assert_foreign(|| drop(field.matrix(&other)));
    assert_foreign(|| drop(field.get(&other, nodes[0])));
    assert_foreign(|| drop(field.matrix_mut(&mut other)));
    assert_foreign(|| drop(field.set(&mut other, nodes[0], &[0.0; 2])));
    assert_foreign(|| drop((field.read(),).build_state(&mut other)));
    assert_foreign(|| drop((field.write(),).build_state(&mut other)));
}

fn assert_foreign(access: impl FnOnce()) {
    let panic = catch_unwind(AssertUnwindSafe(access)).expect_err("another world was not refused");
    let message = panic.downcast_ref::<String>().map(String::as_str).unwrap_or_default();
    assert!(message.contains("a field is used in a world other than its own"), "{message}");
}

#[test]
fn typed_components_are_columns_and_missing_ones_get_their_default() {
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let labels = Field::<ClassLabel>::of_component(&mut world, on).unwrap();
    let splits = Field::<Split>::of_component(&mut world, on).unwrap();
    let numbers = Field::<f32>::register(&mut world, "numbers", on, 2).unwrap();
    let nodes = [
        world.spawn((GraphNode, ClassLabel(3))).id(),
        world.spawn(GraphNode).id(),
        world.spawn((GraphNode, Split::Test, ClassLabel(5))).id(),
        world.spawn((GraphNode, Marked, Split::Train)).id(),
    ];
    world.spawn(ClassLabel(99));
    attach_fields(&mut world, on);
    let label = |node| labels.get(&world, node).unwrap()[0].0;
    let split = |node| splits.get(&world, node).unwrap()[0];
    assert_eq!(nodes.map(label), [3, 0, 5, 0]);
    assert_eq!(nodes.map(split), [Split::Unused, Split::Unused, Split::Test, Split::Train]);
    assert_eq!(labels.matrix(&world).row_count(), 4, "a label without a node is none of the graph's");
    assert_eq!(numbers.matrix(&world).row_count(), 4);
    labels.set(&mut world, nodes[3], &[ClassLabel(7)]).unwrap();
    assert_eq!(world.get::<ClassLabel>(nodes[3]), Some(&ClassLabel(7)));
    // Rows of different fields are rows of the same entities.
    for node in nodes {
        let label = labels.get(&world, node).unwrap()[0].0 as f32;
        numbers.set(&mut world, node, &[label, 0.0]).unwrap();
    }
    let (labels, numbers) = (labels.matrix(&world), numbers.matrix(&world));
    assert!(labels.rows().zip(numbers.rows()).all(|(label, numbers)| label[0].0 as f32 == numbers[0]));
}

#[test]
fn typed_columns_of_structs_and_large_alignment() {
    #[derive(Component, Clone, Copy, Debug, Default, PartialEq)]
    struct Position(glam::Vec4);
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let positions = Field::<Position>::of_component(&mut world, on).unwrap();
    let place = |x: usize| Position(glam::Vec4::splat(x as f32));
    let nodes: Vec<Entity> = (0..3).map(|x| world.spawn((GraphNode, place(x))).id()).collect();
    let double = (positions.write(),).build_state(&mut world).build_system(|mut column: ColumnMut<Position>| {
        column.matrix().rows_mut().for_each(|row| row[0].0 *= 2.0);
    });
    world.run_system_once(double).unwrap();
    for (x, node) in nodes.iter().enumerate() {
        assert_eq!(world.get::<Position>(*node), Some(&place(2 * x)));
    }
}

#[test]
fn a_component_of_numbers_is_a_column_of_them() {
    #[derive(Component, Clone, Copy, Debug, Default, PartialEq, Pod, Zeroable)]
    #[repr(transparent)]
    struct Position(glam::Vec3);
    #[derive(Component, Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
    #[repr(C, align(16))]
    struct Weather {
        wind: [f32; 3],
        heat: f32,
    }
    impl Default for Weather {
        fn default() -> Self {
            Self { wind: [0.0; 3], heat: 20.0 }
        }
    }
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let positions = Field::from_f32s::<Position>(&mut world, on).unwrap();
    let weathers = Field::from_f32s::<Weather>(&mut world, on).unwrap();
    assert_eq!((positions.width(), weathers.width()), (3, 4));
    let place = |x: usize| Position(glam::vec3(x as f32, 1.0, -1.0));
    let nodes: Vec<Entity> = (0..3).map(|x| world.spawn((GraphNode, place(x))).id()).collect();
    let far = world.spawn((GraphNode, Marked)).id();
    attach_fields(&mut world, on);
    assert_eq!(positions.matrix(&world).row(2), [2.0, 1.0, -1.0]);
    assert_eq!(positions.get(&world, far), Ok(&[0.0; 3][..]));
    assert_eq!(weathers.get(&world, far), Ok(&[0.0, 0.0, 0.0, 20.0][..]));
    let blow = (positions.write(), weathers.write()).build_state(&mut world).build_system(
        |mut positions: ColumnMut, mut weathers: ColumnMut| {
            positions.matrix().rows_mut().for_each(|row| row[0] += 1.0);
            weathers.matrix().rows_mut().for_each(|row| row.copy_from_slice(&[1.0, 2.0, 3.0, 4.0]));
        },
    );
    world.run_system_once(blow).unwrap();
    for (x, node) in nodes.iter().enumerate() {
        assert_eq!(world.get::<Position>(*node), Some(&place(x + 1)));
    }
    assert_eq!(world.get::<Weather>(far), Some(&Weather { wind: [1.0, 2.0, 3.0], heat: 4.0 }));
    positions.set(&mut world, far, &[5.0, 6.0, 7.0]).unwrap();
    assert_eq!(world.get::<Position>(far), Some(&Position(glam::vec3(5.0, 6.0, 7.0))));
}

#[test]
fn a_component_that_is_not_numbers_is_refused() {
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[repr(transparent)]
    struct Bytes([u8; 4]);
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[repr(transparent)]
    struct Halves([u16; 3]);
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[repr(C)]
    struct Nothing;
    #[derive(Component, Clone, Copy, Pod, Zeroable)]
    #[repr(C, align(128))]
    struct Page([f32; 32]);
    impl Default for Page {
        fn default() -> Self {
            Self([0.0; 32])
        }
    }
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[component(storage = "SparseSet")]
    #[repr(transparent)]
    struct Fleeting(f32);
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let refused = |error: Result<Field, FieldError>, expected: [usize; 2]| match error {
        Err(FieldError::NotNumbers { size, alignment, .. }) => assert_eq!([size, alignment], expected),
        other => panic!("{other:?} instead of {expected:?}"),
    };
    refused(Field::from_f32s::<Bytes>(&mut world, on), [4, 1]);
    refused(Field::from_f32s::<Halves>(&mut world, on), [6, 2]);
    refused(Field::from_f32s::<Nothing>(&mut world, on), [0, 1]);
    refused(Field::from_f32s::<Page>(&mut world, on), [128, 128]);
    let error = Field::from_f32s::<Fleeting>(&mut world, on).unwrap_err();
    assert!(matches!(&error, FieldError::NotInTable { name } if name.contains("Fleeting")), "{error}");
}

#[test]
fn a_component_as_a_whole_and_as_numbers_is_one_column_to_the_scheduler() {
    #[derive(Component, Clone, Copy, Default, Pod, Zeroable)]
    #[repr(transparent)]
    struct Speed(f32);
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let whole = Field::<Speed>::of_component(&mut world, on).unwrap();
    let numbers = Field::from_f32s::<Speed>(&mut world, on).unwrap();
    let refusal = catch_unwind(AssertUnwindSafe(|| {
        let both = (whole.read(), numbers.write()).build_state(&mut world);
        drop(both.build_system(|_: Column<Speed>, _: ColumnMut| ()));
    }));
    let message = refusal.expect_err("the same column was written and read at once");
    assert!(message.downcast_ref::<String>().is_some_and(|message| message.contains("Speed")));
}

#[test]
fn systems_see_tables_made_after_they_were_built() {
    let mut scene = Scene::of_width(1);
    let on = scene.field.domain();
    let total = Field::<f32>::register(&mut scene.world, "total", on, 1).unwrap();
    let add = (scene.field.read(), total.write()).build_state(&mut scene.world).build_system(
        |from: Column, mut to: ColumnMut| {
            assert_eq!((from.width(), to.width()), (1, 1));
            to.matrix().rows_mut().zip(from.matrix().rows()).for_each(|(to, from)| to[0] += from[0]);
        },
    );
    let mut schedule = Schedule::default();
    schedule.add_systems(add);
    schedule.run(&mut scene.world);
    let first = scene.world.spawn(GraphNode).id();
    scene.attach();
    scene.fill(first);
    schedule.run(&mut scene.world);
    let second = scene.world.spawn((GraphNode, Marked)).id();
    scene.attach();
    scene.fill(second);
    schedule.run(&mut scene.world);
    let times = |node, times: f32| vec![times * scene.row_of(node)[0]];
    assert_eq!(total.get(&scene.world, first).unwrap(), times(first, 2.0));
    assert_eq!(total.get(&scene.world, second).unwrap(), times(second, 1.0));
}

#[test]
#[should_panic(expected = "a column has no field")]
fn a_column_without_a_field_says_how_to_build_it() {
    let mut world = World::new();
    let _unreachable = world.run_system_once(|_: Column| {});
}

#[test]
fn halves_of_a_double_buffer_change_roles_and_nothing_moves() {
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let owner = world.spawn_empty().id();
    let DoubleBuffer { front, back } = DoubleBuffer::register(&mut world, owner, "state", on, 3).unwrap();
    assert_eq!(world.get::<Parity>(owner), Some(&Parity::default()));
    let node = world.spawn(GraphNode).id();
    attach_fields(&mut world, on);
    front.set(&mut world, node, &[1.0; 3]).unwrap();
    let step =
        (front.read(), back.write()).build_state(&mut world).build_system(|front: Column, mut back: ColumnMut| {
            back.matrix().rows_mut().zip(front.matrix().rows()).for_each(|(to, from)| to.fill(2.0 * from[0]));
        });
    let mut schedule = Schedule::default();
    schedule.add_systems(step);
    for tick in 1..=4 {
        let places = [front, back].map(|half| half.get(&world, node).unwrap().as_ptr());
        schedule.run(&mut world);
        world.get_mut::<Parity>(owner).unwrap().flip();
        let swapped = [back, front].map(|half| half.get(&world, node).unwrap().as_ptr());
        assert_eq!(places, swapped);
        assert_eq!(front.get(&world, node), Ok(&[f32::from(1u8 << tick); 3][..]));
        assert_eq!(back.matrix(&world).row(0), [f32::from(1u8 << (tick - 1)); 3]);
    }
    back.matrix_mut(&mut world).rows_mut().for_each(|row| row.fill(-1.0));
    assert_eq!(front.get(&world, node), Ok(&[16.0; 3][..]));
    assert_eq!(back.get(&world, node), Ok(&[-1.0; 3][..]));
}

#[test]
fn double_buffers_of_one_owner_share_its_parity_and_others_do_not() {
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    let owners = [world.spawn_empty().id(), world.spawn_empty().id()];
    let first = DoubleBuffer::register(&mut world, owners[0], "a", on, 1).unwrap();
    let node = world.spawn(GraphNode).id();
    attach_fields(&mut world, on);
    first.front.set(&mut world, node, &[1.0]).unwrap();
    world.get_mut::<Parity>(owners[0]).unwrap().flip();
    let second = DoubleBuffer::register(&mut world, owners[0], "b", on, 1).unwrap();
    let third = DoubleBuffer::register(&mut world, owners[1], "c", on, 1).unwrap();
    attach_fields(&mut world, on);
    assert_eq!(first.back.get(&world, node), Ok(&[1.0][..]), "a second buffer does not reset the parity");
    second.front.set(&mut world, node, &[2.0]).unwrap();
    third.front.set(&mut world, node, &[3.0]).unwrap();
    world.get_mut::<Parity>(owners[0]).unwrap().flip();
    let numbers = |half: Field| half.get(&world, node).unwrap()[0];
    assert_eq!([first.front, second.back, third.front].map(numbers), [1.0, 2.0, 3.0]);
    world.despawn(owners[1]);
    let dead = DoubleBuffer::register(&mut world, owners[1], "d", on, 1).unwrap_err();
    assert!(matches!(dead, FieldError::NotOnEntity { entity, .. } if entity == owners[1]));
}

#[test]
fn fields_of_nodes_and_of_edges_keep_apart() {
    let mut world = World::new();
    let [on_nodes, on_edges] = [world.register_component::<GraphNode>(), world.register_component::<Edge>()];
    let of_nodes = Field::<f32>::register(&mut world, "numbers", on_nodes, 2).unwrap();
    let of_edges = Field::<f32>::register(&mut world, "numbers", on_edges, 2).unwrap();
    assert_ne!(of_nodes, of_edges, "a name is no identity");
    let node = world.spawn(GraphNode).id();
    let edge = world.spawn(Edge { source: node, target: node }).id();
    attach_fields(&mut world, on_nodes);
    assert!(of_nodes.get(&world, node).is_ok() && of_edges.get(&world, edge).is_err());
    attach_fields(&mut world, on_edges);
    assert!(of_edges.get(&world, edge).is_ok() && of_nodes.get(&world, edge).is_err());
    assert_eq!(of_nodes.name(&world), "numbers");
}

#[test]
fn a_column_of_a_component_and_a_query_of_it_are_told_apart_from_a_race() {
    let attempt = |racing: bool| {
        let mut world = World::new();
        let on = world.register_component::<GraphNode>();
        let labels = Field::<ClassLabel>::of_component(&mut world, on).unwrap();
        let read = (labels.read(),).build_state(&mut world).build_system(|_: Column<ClassLabel>| ());
        let mut schedule = Schedule::default();
        schedule.set_build_settings(bevy_ecs::schedule::ScheduleBuildSettings {
            ambiguity_detection: bevy_ecs::schedule::LogLevel::Error,
            ..Default::default()
        });
        if racing {
            schedule.add_systems((read, |_: Query<&mut ClassLabel>| ()));
        } else {
            schedule.add_systems((read, |_: Query<&ClassLabel>, _: Query<&mut Split>| ()));
        }
        schedule.initialize(&mut world).map(drop).map_err(|error| error.to_string(schedule.graph(), &world))
    };
    assert!(attempt(true).unwrap_err().contains("ClassLabel"));
    attempt(false).unwrap();
}

#[test]
fn an_observer_that_despawns_nodes_while_fields_are_attached_does_no_harm() {
    #[derive(Component, Clone, Copy, Default)]
    struct Trap;
    let mut world = World::new();
    let on = world.register_component::<GraphNode>();
    Field::<Trap>::of_component(&mut world, on).unwrap();
    Field::<ClassLabel>::of_component(&mut world, on).unwrap();
    let numbers = Field::<f32>::register(&mut world, "numbers", on, 2).unwrap();
    world.add_observer(|_: On<Add<Trap>>, nodes: Query<Entity, With<GraphNode>>, mut commands: Commands| {
        nodes.iter().for_each(|node| commands.entity(node).despawn());
    });
    world.spawn_batch([GraphNode; 3]).for_each(drop);
    attach_fields(&mut world, on);
    assert_eq!(numbers.matrix(&world).row_count(), 0);
}
