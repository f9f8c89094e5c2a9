//! Slots that are found from pairs alone make the target, whichever of the right addresses are taken.

use connectome_languages::{
    OrderedDag,
    mathematics::{Generator, Terms, Transformation},
    rewriting::{AlignmentError, RewriteTarget, SlotLabel, SlotLayout, align},
};
use proptest::prelude::*;

use super::ordered_dag::dags;

const LAYOUT: SlotLayout = SlotLayout { slots: 3, roles: 1, result: 0, parts: 1 };

fn assert_makes(slots: &RewriteTarget, source: &OrderedDag, target: &OrderedDag) {
    for choose in [|_: usize| 0, |count: usize| count - 1, |count: usize| count / 2] {
        let result = slots.rewrite(|right| choose(right.len())).decode(source);
        assert_eq!(result.as_ref(), Ok(&target.shared()), "{source:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn slots_of_any_pair_make_the_target_or_are_refused(source in dags(), target in dags(), slots in 0_u32..4) {
        match align(&source, &target, SlotLayout { slots, ..LAYOUT }) {
            Ok(slots) => assert_makes(&slots, &source, &target),
            Err(AlignmentError::Empty) => prop_assert!(source.is_empty() || target.is_empty()),
            Err(AlignmentError::TooLarge { .. }) => prop_assert!(false, "it is small"),
            Err(AlignmentError::Shared { node } | AlignmentError::Slots { node }) => {
                prop_assert!((node as usize) < source.len());
            }
        }
    }

    #[test]
    fn what_stays_the_same_is_kept(dag in dags()) {
        prop_assume!(!dag.is_empty());
        let dag = dag.shared();
        let slots = align(&dag, &dag, LAYOUT).unwrap();
        prop_assert!(slots.slots().chunks(3).all(|slots| slots[0].label == SlotLabel::Keep));
        assert_makes(&slots, &dag, &dag);
    }
}

#[test]
fn most_simplified_terms_are_expressed() {
    let mut terms = Terms::default();
    let pairs = Generator::new(5, 2..=5).pairs(&mut terms, &Transformation::Simplify, 1_000, &[]).unwrap();
    let mut expressed = 0;
    for pair in pairs {
        let [source, target] = [pair.source, pair.target].map(|term| terms.dag(term));
        if let Ok(slots) = align(&source, &target, LAYOUT) {
            expressed += 1;
            assert_makes(&slots, &source, &target);
        }
    }
    assert!(expressed > 900, "{expressed} of 1000");
}

#[test]
fn large_pairs_are_refused_before_they_are_compared() {
    let mut chain = OrderedDag::default();
    chain.push(0, &[]).unwrap();
    (0..5_000).for_each(|child| _ = chain.push(1, &[child]).unwrap());
    assert!(matches!(align(&chain, &chain, LAYOUT), Err(AlignmentError::TooLarge { before: 5_001, after: 5_001 })));
}
