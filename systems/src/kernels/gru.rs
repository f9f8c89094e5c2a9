//! The cell of a gated recurrent unit (Cho et al. 2014, in the form of PyTorch's `GRUCell`).

use super::activation::{sigmoid, tanh};

/// One element of the state of a cell, and its gates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GruUnit {
    state: f32,
    reset: f32,
    update: f32,
    candidate: f32,
    /// The state's term of the candidate, before the reset gate.
    hidden_candidate: f32,
}

impl GruUnit {
    /// The unit with the input's and the state's terms of the gates `r`, `z` and `n`.
    #[inline(always)]
    pub fn new(input: [f32; 3], hidden: [f32; 3], state: f32) -> Self {
        let reset = sigmoid(input[0] + hidden[0]);
        let update = sigmoid(input[1] + hidden[1]);
        let candidate = tanh(input[2] + reset * hidden[2]);
        Self { state, reset, update, candidate, hidden_candidate: hidden[2] }
    }

    #[inline(always)]
    pub fn output(&self) -> f32 {
        (1.0 - self.update) * self.candidate + self.update * self.state
    }

    /// The gradients with respect to the input's terms of the gates.
    #[inline(always)]
    pub fn input_gradients(&self, gradient: f32) -> [f32; 3] {
        let Self { state, reset, update, candidate, hidden_candidate } = *self;
        let by_candidate = gradient * (1.0 - update) * (1.0 - candidate * candidate);
        let by_update = gradient * (state - candidate) * update * (1.0 - update);
        let by_reset = by_candidate * hidden_candidate * reset * (1.0 - reset);
        [by_reset, by_update, by_candidate]
    }

    /// The gradients with respect to the state's terms of the gates.
    #[inline(always)]
    pub fn hidden_gradients(&self, gradient: f32) -> [f32; 3] {
        let [by_reset, by_update, by_candidate] = self.input_gradients(gradient);
        [by_reset, by_update, by_candidate * self.reset]
    }

    /// The gradient with respect to the state, except through the gates.
    #[inline(always)]
    pub fn state_gradient(&self, gradient: f32) -> f32 {
        self.update * gradient
    }
}

/// `r = sigmoid(I_r + H_r)`, `z = sigmoid(I_z + H_z)`, `n = tanh(I_n + r * H_n)` and `output = (1 - z) * n + z * state`,
/// of one row: `input` is `[I_r | I_z | I_n]` and `hidden` `[H_r | H_z | H_n]`, each three times as wide as the state.
///
/// # Panics
/// If the widths do not fit.
#[inline(always)]
pub fn gru_cell(input: &[f32], hidden: &[f32], state: &[f32], output: &mut [f32]) {
    let width = state.len();
    let ([reset, update, candidate], [hidden_reset, hidden_update, hidden_candidate]) =
        (thirds(input, width), thirds(hidden, width));
    let output = &mut output[..width];
    for index in 0..width {
        let input = [reset[index], update[index], candidate[index]];
        let hidden = [hidden_reset[index], hidden_update[index], hidden_candidate[index]];
        output[index] = GruUnit::new(input, hidden, state[index]).output();
    }
}

/// The gradients of [`gru_cell`] with respect to its values, from that with respect to its output.
///
/// # Panics
/// If the widths do not fit.
#[inline(always)]
pub fn gru_cell_backward(
    [input, hidden, state, gradient]: [&[f32]; 4],
    [by_input, by_hidden, by_state]: [&mut [f32]; 3],
) {
    let width = state.len();
    let ([reset, update, candidate], [hidden_reset, hidden_update, hidden_candidate]) =
        (thirds(input, width), thirds(hidden, width));
    let (gradient, by_state) = (&gradient[..width], &mut by_state[..width]);
    let [by_reset, by_update, by_candidate] = thirds_mut(by_input, width);
    let [by_hidden_reset, by_hidden_update, by_hidden_candidate] = thirds_mut(by_hidden, width);
    for index in 0..width {
        let input = [reset[index], update[index], candidate[index]];
        let hidden = [hidden_reset[index], hidden_update[index], hidden_candidate[index]];
        let unit = GruUnit::new(input, hidden, state[index]);
        [by_reset[index], by_update[index], by_candidate[index]] = unit.input_gradients(gradient[index]);
        [by_hidden_reset[index], by_hidden_update[index], by_hidden_candidate[index]] =
            unit.hidden_gradients(gradient[index]);
        by_state[index] = unit.state_gradient(gradient[index]);
    }
}

/// The parts of a row, each `width` wide.
#[inline(always)]
fn thirds(row: &[f32], width: usize) -> [&[f32]; 3] {
    [&row[..width], &row[width..2 * width], &row[2 * width..3 * width]]
}

#[inline(always)]
fn thirds_mut(row: &mut [f32], width: usize) -> [&mut [f32]; 3] {
    let (first, rest) = row.split_at_mut(width);
    let (second, third) = rest.split_at_mut(width);
    [first, second, &mut third[..width]]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gradients_agree_with_central_differences() {
        const WIDTH: usize = 5;
        let numbers = |seed: usize, count| (0..count).map(|i| ((i * 37 + seed * 11) as f32).sin()).collect::<Vec<_>>();
        let values = [numbers(1, 3 * WIDTH), numbers(2, 3 * WIDTH), numbers(3, WIDTH)];
        let gradient = numbers(4, WIDTH);
        let loss = |values: &[Vec<f32>; 3]| -> f64 {
            let mut output = [0.0; WIDTH];
            gru_cell(&values[0], &values[1], &values[2], &mut output);
            output.iter().zip(&gradient).map(|(output, gradient)| f64::from(*output) * f64::from(*gradient)).sum()
        };
        let mut found = [vec![0.0; 3 * WIDTH], vec![0.0; 3 * WIDTH], vec![0.0; WIDTH]];
        let [by_input, by_hidden, by_state] = &mut found;
        gru_cell_backward([&values[0], &values[1], &values[2], &gradient], [by_input, by_hidden, by_state]);
        for (value, found) in found.iter().enumerate() {
            for (index, found) in found.iter().enumerate() {
                let moved = |step: f32| {
                    let mut moved = values.clone();
                    moved[value][index] += step;
                    loss(&moved)
                };
                let difference = ((moved(5e-3) - moved(-5e-3)) / 1e-2) as f32;
                assert!((found - difference).abs() < 1e-3, "value {value}, unit {index}: {found}, {difference}");
            }
        }
    }
}
