//! Python.

use tree_sitter::Language;

use super::{Grammar, Part, Place, ScopeKind, Usage};

/// Python 3, and the print statement of Python 2, as tree-sitter-python 0.25 reads them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Python;

impl Grammar for Python {
    fn language(&self) -> Language {
        tree_sitter_python::LANGUAGE.into()
    }

    fn is_identifier(&self, kind: &str) -> bool {
        kind == "identifier"
    }

    fn is_atom(&self, kind: &str) -> bool {
        kind == "string_content"
    }

    fn is_comment(&self, kind: &str) -> bool {
        matches!(kind, "comment" | "line_continuation")
    }

    fn is_parenthesized(&self, kind: &str) -> bool {
        kind == "parenthesized_expression"
    }

    fn scope(&self, kind: &str) -> Option<ScopeKind> {
        match kind {
            "module" => Some(ScopeKind::File),
            "function_definition" | "lambda" => Some(ScopeKind::Function),
            "class_definition" => Some(ScopeKind::Class),
            "list_comprehension" | "set_comprehension" | "dictionary_comprehension" | "generator_expression" => {
                Some(ScopeKind::Expression)
            }
            _ => None,
        }
    }

    fn is_outside(&self, place: &Place) -> bool {
        match (place.parent.kind(), place.field) {
            ("function_definition", field) => !matches!(field, Some("parameters" | "type_parameters" | "body")),
            ("class_definition", field) => !matches!(field, Some("type_parameters" | "body")),
            ("default_parameter" | "typed_default_parameter", Some("value")) => true,
            ("typed_parameter" | "typed_default_parameter", Some("type")) => true,
            // What the first `for` of a comprehension goes over; before it are a bracket and the body.
            ("for_in_clause", Some("right")) => place.parent_position == 2,
            _ => false,
        }
    }

    fn usage(&self, place: &Place) -> Usage {
        let (kind, usage) = (place.node.kind(), place.parent_usage);
        match (place.parent.kind(), place.field) {
            ("assignment" | "for_statement" | "for_in_clause" | "type_alias_statement", Some("left")) => Usage::Store,
            ("augmented_assignment", Some("left")) => Usage::Update,
            ("named_expression", Some("name")) => Usage::StoreInFunction,
            ("function_definition" | "class_definition", Some("name")) => Usage::Store,
            ("default_parameter" | "typed_default_parameter", Some("name")) => Usage::Store,
            ("parameters" | "lambda_parameters" | "typed_parameter", None) => Usage::Store,
            ("function_definition" | "class_definition", Some("type_parameters")) => Usage::Store,
            ("delete_statement", _) => Usage::Store,
            ("global_statement", _) => Usage::Global,
            ("nonlocal_statement", _) => Usage::Nonlocal,
            ("as_pattern", Some("alias")) => Usage::Store,
            // In a `case` the alias has no name.
            ("as_pattern", None) if kind == "case_pattern" || place.position > 0 => Usage::Store,
            ("import_statement" | "import_from_statement", Some("name")) => Usage::Store,
            ("aliased_import", Some("alias")) => Usage::Store,
            ("aliased_import" | "future_import_statement", Some("name")) => Usage::Member,
            ("import_from_statement", Some("module_name")) => Usage::Member,
            ("attribute", Some("attribute")) | ("keyword_argument", Some("name")) => Usage::Member,
            // Of `a.b` the name `a` is a variable.
            ("dotted_name", _) if place.position > 0 => Usage::Member,
            ("case_clause", None) => Usage::Store,
            ("class_pattern", _) if place.position == 0 => Usage::Load,
            ("keyword_pattern", _) if place.position == 0 => Usage::Member,
            ("dict_pattern", Some("key")) => Usage::Load,
            // A pattern `a.b` is a value to compare with, a pattern `a` a variable to bind.
            ("case_pattern" | "union_pattern" | "keyword_pattern", _)
                if kind == "dotted_name" && place.node.named_child_count() > 1 =>
            {
                Usage::Load
            }
            (
                "pattern_list"
                | "tuple_pattern"
                | "list_pattern"
                | "list_splat_pattern"
                | "dictionary_splat_pattern"
                | "as_pattern_target"
                | "tuple"
                | "list"
                | "list_splat"
                | "parenthesized_expression"
                | "expression_list"
                | "dotted_name"
                | "relative_import"
                | "type"
                | "type_parameter"
                | "case_pattern"
                | "class_pattern"
                | "keyword_pattern"
                | "dict_pattern"
                | "union_pattern"
                | "splat_pattern",
                _,
            ) => usage,
            _ => Usage::Load,
        }
    }

    fn part(&self, place: &Place) -> Option<Part> {
        match (place.parent.kind(), place.field) {
            ("call", Some("function")) => Some(Part::Callee),
            ("attribute", Some("object")) => Some(Part::Receiver),
            ("attribute", Some("attribute")) => Some(Part::Attribute),
            ("function_definition" | "class_definition", Some("name")) => Some(Part::Definition),
            _ => None,
        }
    }

    fn is_function(&self, kind: &str) -> bool {
        kind == "function_definition"
    }

    fn binds_value(&self, kind: &str) -> Option<bool> {
        match kind {
            "parameters" | "lambda_parameters" | "assignment" | "augmented_assignment" | "named_expression" => {
                Some(true)
            }
            "for_statement" | "for_in_clause" | "with_item" => Some(true),
            "function_definition" | "class_definition" | "import_statement" | "import_from_statement" => Some(false),
            "aliased_import" | "except_clause" | "delete_statement" | "case_clause" | "module" => Some(false),
            _ => None,
        }
    }

    fn is_arguments(&self, kind: &str) -> bool {
        kind == "argument_list"
    }

    fn has_operator(&self, kind: &str) -> bool {
        kind.ends_with("operator") || kind == "augmented_assignment"
    }
}
