//! Which variable a name stands for where it is used.
//!
//! A name stands for the variable of the innermost scope around it that binds the name anywhere; scopes of classes are seen
//! from the class itself alone, and declarations reach out of their scope. What no scope binds is free, such as what the
//! language brings along.

use std::collections::{HashMap, HashSet};

use super::{
    ScopeKind, Usage,
    syntax::{Scope, Syntax, Use},
};

/// A variable: the scope that binds it, or [`FREE`], and its name.
pub(super) type Variable = (u32, u32);

/// The scope of what nothing in the file binds.
pub(super) const FREE: u32 = u32::MAX;

/// The variables of a program.
pub(super) struct Variables {
    /// That of each [`Use`].
    pub of_uses: Vec<Variable>,
    /// For each scope the innermost one around it, or itself, that is no part of an expression.
    pub homes: Vec<u32>,
    /// For each scope the name that it binds first; in a function this is its first parameter.
    pub first_bound: HashMap<u32, u32>,
}

impl Variables {
    /// Costs `O(U + S)` for `U` uses and `S` scopes, however deep the scopes are.
    pub fn of(syntax: &Syntax) -> Self {
        let homes = homes(&syntax.scopes);
        let declared = declared(&syntax.uses);
        let (mut bound, mut first_bound) = (HashSet::new(), HashMap::new());
        for Use { name, scope, usage, .. } in &syntax.uses {
            let home = match usage {
                Usage::Load | Usage::Nonlocal | Usage::Member => continue,
                Usage::Global => 0,
                Usage::StoreInFunction => homes[*scope as usize],
                Usage::Store | Usage::Update => *scope,
            };
            let home = match declared.get(&(home, *name)) {
                Some(Usage::Global) => 0,
                Some(_) => continue,
                None => home,
            };
            bound.insert((home, *name));
            first_bound.entry(home).or_insert(*name);
        }
        let of_uses = resolve(syntax, &declared, &bound);
        Self { of_uses, homes, first_bound }
    }
}

fn homes(scopes: &[Scope]) -> Vec<u32> {
    let mut homes: Vec<u32> = Vec::with_capacity(scopes.len());
    for (number, scope) in scopes.iter().enumerate() {
        let home = match scope.kind {
            ScopeKind::Expression => homes.get(scope.parent as usize).copied().unwrap_or_default(),
            ScopeKind::File | ScopeKind::Function | ScopeKind::Class => number as u32,
        };
        homes.push(home);
    }
    homes
}

/// The names that scopes declare to be of another one, and of which.
fn declared(uses: &[Use]) -> HashMap<Variable, Usage> {
    let declarations = uses.iter().filter(|one| matches!(one.usage, Usage::Global | Usage::Nonlocal));
    declarations.map(|one| ((one.scope, one.name), one.usage)).collect()
}

/// Goes into each scope and out of it again, and keeps for each name the scopes around that bind it.
fn resolve(syntax: &Syntax, declared: &HashMap<Variable, Usage>, bound: &HashSet<Variable>) -> Vec<Variable> {
    let scopes = &syntax.scopes;
    let inner = grouped(scopes.len(), (1..scopes.len() as u32).map(|scope| (scopes[scope as usize].parent, scope)));
    let uses = grouped(scopes.len(), (0..).zip(&syntax.uses).map(|(number, one)| (one.scope, number)));
    let visible_ones = bound.iter().filter(|(scope, _)| scopes[*scope as usize].kind != ScopeKind::Class);
    let names = grouped(scopes.len(), visible_ones.copied());
    let mut visible: Vec<Vec<u32>> = vec![Vec::new(); syntax.names.len()];
    let mut variables = vec![(FREE, 0); syntax.uses.len()];
    let mut stack = vec![(0, true)];
    while let Some((scope, is_entered)) = stack.pop() {
        let here = scope as usize;
        if !is_entered {
            names[here].iter().for_each(|name| _ = visible[*name as usize].pop());
            continue;
        }
        names[here].iter().for_each(|name| visible[*name as usize].push(scope));
        for number in &uses[here] {
            let name = syntax.uses[*number as usize].name;
            let around = visible[name as usize].last().copied().unwrap_or(FREE);
            let found = match declared.get(&(scope, name)) {
                Some(Usage::Global) => 0,
                Some(_) => around,
                None if bound.contains(&(scope, name)) => scope,
                None => around,
            };
            variables[*number as usize] = (found, name);
        }
        stack.push((scope, false));
        stack.extend(inner[here].iter().map(|scope| (*scope, true)));
    }
    variables
}

/// Numbers by group, in the order in which they come.
fn grouped(groups: usize, numbers: impl Iterator<Item = (u32, u32)>) -> Vec<Vec<u32>> {
    let mut grouped = vec![Vec::new(); groups];
    numbers.for_each(|(group, number)| grouped[group as usize].push(number));
    grouped
}
