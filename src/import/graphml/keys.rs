//! What the values of nodes and edges mean.

use std::collections::{HashMap, HashSet};

use super::document::Element;
use crate::import::columns::{Value, parse_bool};
use crate::import::error::ImportError;
use crate::import::targets::is_target;
use crate::import::text::TextFile;
use crate::suggest::quote;

/// What a key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Role {
    Label,
    Split,
    Name,
    Weight,
    /// A value to predict.
    Target,
    /// A column of the features.
    Feature,
    /// Of no use here.
    LeftOut,
}

/// How the values of a key are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Type {
    Bool,
    Number,
    Text,
}

/// One key of the nodes or of the edges.
struct Key {
    name: String,
    role: Role,
    /// Its index among the keys of its role.
    column: usize,
    value_type: Type,
    default: Option<String>,
}

/// All keys of the nodes or of the edges, and the values that the element taken last has for them.
///
/// What an element costs depends on the values it has and on the defaults, not on how many keys are declared.
pub(super) struct Keys {
    keys: Vec<Key>,
    /// Places of the keys by their ids.
    places: HashMap<String, usize>,
    /// Places of features and targets that have defaults.
    defaults: Vec<usize>,
    /// Places of keys of the other roles.
    others: Vec<(Role, usize)>,
    values: Vec<Option<String>>,
    /// Places of the values that are there.
    given: Vec<usize>,
    /// How many keys there are of each role.
    counts: HashMap<Role, usize>,
    /// Names of the keys that are declared for something else, but used.
    misdeclared: Vec<String>,
}

impl Keys {
    /// The keys of nodes. Where there is a key `class`, a key `label` is text to show.
    pub fn of_nodes(declared: &[Element], nodes: &[Element]) -> Self {
        let has_class = declared.iter().any(|key| is_for(key, "node") && name_of(key).eq_ignore_ascii_case("class"));
        Self::of(declared, "node", nodes, |name| match name {
            "class" => Some(Role::Label),
            "label" if has_class => Some(Role::LeftOut),
            "label" => Some(Role::Label),
            "split" => Some(Role::Split),
            "name" => Some(Role::Name),
            name if is_target(name) => Some(Role::Target),
            _ => None,
        })
    }

    /// The keys of edges.
    pub fn of_edges(declared: &[Element], edges: &[Element]) -> Self {
        Self::of(declared, "edge", edges, |name| (name == "weight").then_some(Role::Weight))
    }

    fn of(declared: &[Element], what: &str, elements: &[Element], role: impl Fn(&str) -> Option<Role>) -> Self {
        let id = |key: &Element| key.get("id").map(str::to_owned);
        let own: HashSet<String> = declared.iter().filter(|key| is_for(key, what)).filter_map(id).collect();
        let used: HashSet<&str> =
            elements.iter().flat_map(|element| &element.data).map(|(id, _)| id.as_str()).collect();
        let mut keys = Self {
            keys: Vec::new(),
            places: HashMap::new(),
            defaults: Vec::new(),
            others: Vec::new(),
            values: Vec::new(),
            given: Vec::new(),
            counts: HashMap::new(),
            misdeclared: Vec::new(),
        };
        for element in declared {
            let Some(id) = element.get("id") else { continue };
            if is_for(element, what) {
                keys.declare(id, element, &role);
            } else if used.contains(id) && !own.contains(id) && !keys.places.contains_key(id) {
                // Cytoscape declares keys of edges for nodes.
                keys.misdeclared.push(name_of(element).to_owned());
                keys.declare(id, element, &role);
            }
        }
        keys.values = vec![None; keys.keys.len()];
        keys
    }

    fn declare(&mut self, id: &str, element: &Element, role: &impl Fn(&str) -> Option<Role>) {
        let name = name_of(element).to_owned();
        let value_type = match element.get("attr.type") {
            Some("boolean") => Type::Bool,
            Some("int" | "long" | "float" | "double") => Type::Number,
            _ => Type::Text,
        };
        let other = if element.get("attr.type").is_some() { Role::Feature } else { Role::LeftOut };
        let role = role(&name.to_lowercase()).unwrap_or(other);
        let default = element.data.first().map(|(_, text)| text.trim().to_owned());
        let (place, column) = (self.keys.len(), self.counts.entry(role).or_default());
        let column = std::mem::replace(column, *column + 1);
        match role {
            Role::Feature | Role::Target if default.is_some() => self.defaults.push(place),
            Role::Feature | Role::Target | Role::LeftOut => {}
            // Of several keys for one thing, the first counts.
            _ if self.has(role) => {}
            _ => self.others.push((role, place)),
        }
        self.places.insert(id.to_owned(), place);
        self.keys.push(Key { name, role, column, value_type, default });
    }

    /// How many features and targets each element has for sure.
    pub fn default_count(&self) -> usize {
        self.defaults.len()
    }

    /// Names of the keys of a role.
    pub fn names(&self, role: Role) -> Vec<String> {
        self.keys.iter().filter(|key| key.role == role).map(|key| key.name.clone()).collect()
    }

    /// Names of the keys that are declared for something else.
    pub fn misdeclared(&self) -> &[String] {
        &self.misdeclared
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
            if self.values[*place].replace(text.trim().to_owned()).is_none() {
                self.given.push(*place);
            }
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

    /// The label of the element: numbers and truth values are the same however they are written.
    pub fn label(&self) -> Option<String> {
        let (_, place) = self.others.iter().find(|(role, _)| *role == Role::Label)?;
        let text = self.value(*place).filter(|text| !text.is_empty())?;
        let value = match self.keys[*place].value_type {
            Type::Bool => parse_bool(text).map(|value| value.to_string()),
            Type::Number => text.parse::<f64>().ok().map(|value| value.to_string()),
            Type::Text => None,
        };
        Some(value.unwrap_or_else(|| text.to_owned()))
    }

    fn value(&self, place: usize) -> Option<&str> {
        self.values[place].as_deref().or(self.keys[place].default.as_deref())
    }

    /// Adds the features or targets of the element to columns of those.
    pub fn push(
        &self,
        role: Role,
        file: &TextFile,
        element: &Element,
        mut push: impl FnMut(usize, &str, bool) -> Result<(), String>,
    ) -> Result<(), ImportError> {
        let defaults = self.defaults.iter().filter(|place| self.values[**place].is_none());
        for &place in self.given.iter().chain(defaults) {
            let key = &self.keys[place];
            let Some(text) = self.value(place).filter(|_| key.role == role) else { continue };
            let is_text = key.value_type == Type::Text;
            let checked = match Value::parse(text) {
                Ok(Value::Word(word)) if !is_text => Err(format!("{} is no number", quote(word))),
                _ => push(key.column, text, is_text),
            };
            checked.map_err(|message| {
                let message = format!("the value for {}: {message}", quote(&key.name));
                file.error(element.offset, message, "write a finite number, or declare the key as a string")
            })?;
        }
        Ok(())
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
