//! The program of a model as text.

use connectome::systems::program::{Layout, Operation, Pass, Plan, RowCounts, Value};
use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

/// The columns that training and inference share, by kind of row and width.
pub fn write_columns(text: &mut String, heading: &str, layout: &Layout, rows: &RowCounts) -> fmt::Result {
    let mut kinds = BTreeMap::<_, Vec<usize>>::new();
    for (column, shape) in layout.shapes().enumerate() {
        kinds.entry((shape.domain, shape.width)).or_default().push(column);
    }
    let bytes = layout.bytes(rows).map_or_else(|| "more than can be counted".to_owned(), megabytes);
    writeln!(text, "\n{heading}columns: {}, {bytes} on this graph", layout.shapes().count())?;
    for ((domain, width), columns) in kinds {
        let numbers: Vec<String> = columns.iter().map(|column| format!("@{column}")).collect();
        writeln!(text, "  [{domain}, {width}]  {}", abridged(&numbers, 12))?;
    }
    Ok(())
}

/// The operations of a plan: a title for each pass, and a line for each operation; and the cost of each layer.
///
/// `level` counts how many operations have to run before, one after the other: those of one level could run beside each
/// other.
pub fn write_plan(text: &mut String, plan: &Plan, rows: &RowCounts, titles: &[String; 2]) -> fmt::Result {
    for (pass, title) in [Pass::Forward, Pass::Backward].into_iter().zip(titles) {
        let (operations, levels) = (plan.operations(pass), plan.levels(pass));
        if operations.is_empty() {
            continue;
        }
        let depth = levels.iter().max().map_or(0, |level| level + 1);
        let count = operations.len();
        writeln!(text, "\n{title}: {count} operations in {depth} levels; those of a level could run side by side")?;
        let header = ["layer", "level", "multiplications", "bytes", "operation"].map(str::to_owned);
        let lines = operations.iter().zip(&levels).map(|(operation, level)| {
            let multiplications = plan.multiplications(operation, rows);
            [
                operation.layer.to_string(),
                level.to_string(),
                count_of(multiplications),
                count_of(plan.bytes_moved(operation, rows)),
                plan.describe(operation),
            ]
        });
        write_table(text, &[vec![header], lines.collect()].concat())?;
        let layers = by_layer(operations, |operation| {
            [plan.multiplications(operation, rows), plan.bytes_moved(operation, rows)]
        });
        let header = ["layer", "multiplications", "bytes", "share", ""].map(str::to_owned);
        let all: usize = layers.values().map(|[multiplications, _]| *multiplications).sum();
        let lines = layers.iter().map(|(layer, [multiplications, bytes])| {
            let share = format!("{:.1} %", 100.0 * *multiplications as f64 / all.max(1) as f64);
            [layer.to_string(), count_of(*multiplications), count_of(*bytes), share, String::new()]
        });
        writeln!(text)?;
        write_table(text, &[vec![header], lines.collect()].concat())?;
    }
    Ok(())
}

fn by_layer(operations: &[Operation], cost: impl Fn(&Operation) -> [usize; 2]) -> BTreeMap<usize, [usize; 2]> {
    let mut layers = BTreeMap::new();
    for operation in operations {
        let sums: &mut [usize; 2] = layers.entry(operation.layer).or_default();
        sums.iter_mut().zip(cost(operation)).for_each(|(sum, cost)| *sum = sum.saturating_add(cost));
    }
    layers
}

/// Columns of numbers, right-aligned, before one of text.
fn write_table<const N: usize>(text: &mut String, lines: &[[String; N]]) -> fmt::Result {
    let width = |column: usize| lines.iter().map(|line| line[column].len()).max().unwrap_or(0);
    let widths: [usize; N] = std::array::from_fn(width);
    for line in lines {
        let numbers = line[..N - 1].iter().zip(widths);
        let numbers: Vec<String> = numbers.map(|(number, width)| format!("{number:>width$}")).collect();
        writeln!(text, "{}", format!("  {}  {}", numbers.join("  "), line[N - 1]).trim_end())?;
    }
    Ok(())
}

/// The first of many, and how many follow.
fn abridged(words: &[String], most: usize) -> String {
    match words.len().checked_sub(most) {
        Some(others @ 1..) => format!("{} and {others} more", words[..most].join(" ")),
        _ => words.join(" "),
    }
}

fn megabytes(bytes: usize) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

/// A large number in thousands, millions or more.
fn count_of(number: usize) -> String {
    let units = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    let number = number as f64;
    let unit = units.into_iter().find(|(size, _)| number >= *size);
    unit.map_or_else(|| number.to_string(), |(size, unit)| format!("{:.1}{unit}", number / size))
}

/// What an operation reads that is a parameter, by its last names: `lin.weight bias`.
pub fn parameters(plan: &Plan, operation: &Operation) -> String {
    let parameters = operation.inputs.iter().filter(|input| plan.is_parameter(**input));
    let names: Vec<String> = parameters.map(|input| short(&plan.name(*input))).collect();
    names.join(" ")
}

/// `lin.weight` of `layers.0.lin.weight`.
fn short(name: &str) -> String {
    name.strip_prefix("layers.").and_then(|name| name.split_once('.')).map_or(name, |(_, name)| name).to_owned()
}

/// A value with its shape and its column: `%3 [nodes, 16] @0`.
pub fn value(plan: &Plan, value: Value) -> String {
    plan.describe_output(value)
}
