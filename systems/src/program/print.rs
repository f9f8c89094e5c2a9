//! Shows a plan: its operations with shapes, and which column each value got.

use core::fmt;

use super::{Column, Operation, Pass, Plan, Run, Value};

impl fmt::Display for Plan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for pass in [Pass::Forward, Pass::Backward] {
            for operation in self.operations(pass) {
                writeln!(formatter, "{}", self.describe(operation))?;
            }
        }
        Ok(())
    }
}

impl Plan {
    /// An operation as a line: `%5 [nodes, 16] @2 = linear %0 %1 %2`, where `@` is the column.
    pub fn describe(&self, operation: &Operation) -> String {
        let outputs: Vec<String> = operation.outputs.iter().map(|output| self.describe_output(*output)).collect();
        let inputs: String = operation.inputs.iter().map(|input| format!(" {}", self.name(*input))).collect();
        let by = match operation.in_place_of {
            Some(_) if operation.accumulates => "+=",
            Some(_) => "~=",
            None => "=",
        };
        let rest = match (operation.run, &operation.parts) {
            (Run::OnChange, _) => "  (when an input changes)",
            (Run::Always, Some(_)) => "  (its first output when an input changes)",
            (Run::Always, None) => "",
        };
        format!("{} {by} {}{inputs}{rest}", outputs.join(", "), operation.operator.describe())
    }

    /// A value with its shape and its column: `%5 [nodes, 16] @2`.
    pub fn describe_output(&self, value: Value) -> String {
        let column = match self.column(value) {
            Some(Column::Layout(column)) => format!(" @{column}"),
            _ => String::new(),
        };
        format!("{} {}{column}", self.name(value), value.shape())
    }

    /// The name of an input or a parameter, the index of any other value.
    pub fn name(&self, value: Value) -> String {
        match self.column(value) {
            Some(Column::Input(input)) => self.program.inputs[input].name.clone(),
            Some(Column::Parameter(parameter)) => self.program.parameters[parameter].name.clone(),
            Some(Column::ParameterGradient(parameter)) => {
                format!("d {}", self.program.parameters[parameter].name)
            }
            _ => format!("%{}", value.id()),
        }
    }
}
