//! Terms of mathematics: what is read can be written and read again, and the slots of a transformation do the same.

use connectome::languages::mathematics::{SyntaxError, Term, Terms, Transformation};

/// A term in infix or prefix notation.
pub fn mathematics(bytes: &[u8]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let mut terms = Terms::default();
    let [infix, prefix] = [Terms::read_infix, Terms::read_prefix].map(|read| read(&mut terms, text));
    check(&mut terms, text, infix);
    check(&mut terms, text, prefix);
}

fn check(terms: &mut Terms, text: &str, read: Result<Term, SyntaxError>) {
    let term = match read {
        Ok(term) => term,
        Err(error) => {
            assert!(
                text.is_char_boundary(error.offset) && !error.found.is_empty() && !error.help.is_empty(),
                "{error}"
            );
            return;
        }
    };
    let [infix, prefix] =
        [terms.infix(term), terms.prefix(term)].map(|text| text.expect("it is no longer than the input"));
    assert_eq!(terms.read_infix(&infix), Ok(term), "{infix}");
    assert_eq!(terms.read_prefix(&prefix), Ok(term), "{prefix}");
    terms.latex(term).expect("it is no longer than the input");
    let variable = "x".parse().expect("it is a name");
    for transformation in [Transformation::Simplify, Transformation::Derive(variable)] {
        // Not every function can be derived.
        let Ok((result, target)) = transformation.trace(terms, term) else { continue };
        let decoded = target.rewrite(|_| 0).decode(&terms.dag(term)).expect("they come from a rule");
        assert_eq!(terms.of_dag(&decoded), Ok(result), "{transformation:?} {prefix}");
    }
}
