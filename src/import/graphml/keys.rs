//! What the values of nodes and edges mean.

use std::collections::HashMap;

use super::document::Element;
use crate::import::error::ImportError;
use crate::import::text::{TextFile, parse_number};
use crate::scene::suggest::quote;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Label,
    Split,
    Name,
    Weight,
    /// A column of the features.
    Feature,
    /// Text of no use here.
    LeftOut,
}

/// One key of the nodes or of the edges.
struct Key {
    name: String,
    role: Role,
    default: Option<String>,
}

/// All keys of the nodes or of the edges, and the values that the element taken last has for them.
///
/// What an element costs depends on the values it has and on the features, not on how many keys are declared.
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Places of the keys by their ids.
    places: HashMap<String, usize>,
    /// Places of the keys that are features.
    features: Vec<usize>,
    /// Places of keys of the other roles.
    others: Vec<(Role, usize)>,
    values: Vec<Option<String>>,
    /// Places of the values that are there.
    given: Vec<usize>,
}

impl Keys {
    /// The keys of nodes. Where there is a key `class`, a key `label` is text to show.
    pub fn of_nodes(declared: &[Element]) -> Self {
        let has_class = declared.iter().any(|key| is_for(key, "node") && name_of(key).eq_ignore_ascii_case("class"));
        Self::of(declared, "node", |name| match name {
            "class" => Some(Role::Label),
            "label" if has_class => Some(Role::LeftOut),
            "label" => Some(Role::Label),
            "split" => Some(Role::Split),
            "name" => Some(Role::Name),
            _ => None,
        })
    }

    /// The keys of edges.
    pub fn of_edges(declared: &[Element]) -> Self {
        Self::of(declared, "edge", |name| (name == "weight").then_some(Role::Weight))
    }

    fn of(declared: &[Element], what: &str, role: impl Fn(&str) -> Option<Role>) -> Self {
        let (mut keys, mut places) = (Vec::new(), HashMap::new());
        for element in declared.iter().filter(|element| is_for(element, what)) {
            let Some(id) = element.get("id") else { continue };
            let name = name_of(element).to_owned();
            let is_number = matches!(element.get("attr.type"), Some("int" | "long" | "float" | "double" | "boolean"));
            let other = if is_number { Role::Feature } else { Role::LeftOut };
            let default = element.data.first().map(|(_, text)| text.trim().to_owned());
            places.insert(id.to_owned(), keys.len());
            keys.push(Key { role: role(&name.to_lowercase()).unwrap_or(other), name, default });
        }
        let is_feature = |place: &usize| keys[*place].role == Role::Feature;
        let features = (0..keys.len()).filter(is_feature).collect();
        let mut others = Vec::new();
        for (place, key) in keys.iter().enumerate() {
            // Of several keys for one thing, the first counts.
            if !matches!(key.role, Role::Feature | Role::LeftOut) && others.iter().all(|(role, _)| *role != key.role) {
                others.push((key.role, place));
            }
        }
        Self { values: vec![None; keys.len()], keys, places, features, others, given: Vec::new() }
    }

    /// How many keys are features.
    pub fn feature_count(&self) -> usize {
        self.features.len()
    }

    /// Names of the keys that are of no use.
    pub fn left_out(&self) -> Vec<&str> {
        self.keys.iter().filter(|key| key.role == Role::LeftOut).map(|key| key.name.as_str()).collect()
    }

    /// Takes the values of an element in the place of those before.
    pub fn take(&mut self, file: &TextFile, element: &Element) -> Result<(), ImportError> {
        for place in self.given.drain(..) {
            self.values[place] = None;
        }
        for (id, text) in &element.data {
            let place = self.places.get(id).ok_or_else(|| {
                let message = format!("the element has a value for {}, but no such key is declared", quote(id));
                file.error(element.offset, message, format!("write <key id={} …/> before the graph", quote(id)))
            })?;
            self.values[*place] = Some(text.trim().to_owned());
            self.given.push(*place);
        }
        Ok(())
    }

    /// Whether there is a key of this role.
    pub fn has(&self, role: Role) -> bool {
        self.others.iter().any(|(other, _)| *other == role)
    }

    /// The value of the key of this role, or its default.
    pub fn text(&self, role: Role) -> Option<&str> {
        self.others.iter().find(|(other, _)| *other == role).and_then(|(_, place)| self.value(*place))
    }

    fn value(&self, place: usize) -> Option<&str> {
        self.values[place].as_deref().or(self.keys[place].default.as_deref())
    }

    /// The features of the element, which must have all of them.
    pub fn features(&self, file: &TextFile, element: &Element) -> Result<Vec<f32>, ImportError> {
        let mut numbers = Vec::new();
        for &place in &self.features {
            let key = &self.keys[place];
            let value = self.value(place).ok_or_else(|| {
                let message = format!("the element has no value for {}", quote(&key.name));
                file.error(element.offset, message, "write one, or a default into the key")
            })?;
            numbers.push(number(value).map_err(|message| {
                let message = format!("the value for {}: {message}", quote(&key.name));
                file.error(element.offset, message, "write a finite number")
            })?);
        }
        Ok(numbers)
    }
}

/// Whether a declared key is for nodes, or for edges.
fn is_for(key: &Element, what: &str) -> bool {
    matches!(key.get("for").unwrap_or("all"), "all") || key.get("for") == Some(what)
}

/// What people call a key.
fn name_of(key: &Element) -> &str {
    key.get("attr.name").or(key.get("id")).unwrap_or_default()
}

fn number(text: &str) -> Result<f32, String> {
    match text {
        "true" => Ok(1.0),
        "false" => Ok(0.0),
        _ => parse_number(text),
    }
}
