//! A trainer that is obviously right: one graph after the other, one node after the other, in double precision, by the
//! formulas of the paper and their derivatives. It shares nothing with the engine but the numbers it is given.

/// A graph to learn from.
pub struct PlainGraph {
    /// One row for each node.
    pub features: Vec<Vec<f64>>,
    /// Source and target.
    pub edges: Vec<[usize; 2]>,
    pub class: usize,
}

/// A parameter and how it learns.
#[derive(Clone)]
pub struct Weights {
    /// Row after row; a map to `O` numbers from `I` is `[O, I]`.
    pub values: Vec<f64>,
    pub learns: bool,
    gradient: Vec<f64>,
    /// First and second moment, or velocity.
    moments: [Vec<f64>; 2],
}

impl Weights {
    pub fn new(values: Vec<f64>, learns: bool) -> Self {
        let zeros = vec![0.0; values.len()];
        Self { values, learns, gradient: zeros.clone(), moments: [zeros.clone(), zeros] }
    }
}

/// `y = W x + b`.
#[derive(Clone)]
pub struct Map {
    pub weight: Weights,
    pub bias: Weights,
}

impl Map {
    fn forward(&self, x: &[f64]) -> Vec<f64> {
        let mut y = self.bias.values.clone();
        for (output, y) in y.iter_mut().enumerate() {
            for (input, x) in x.iter().enumerate() {
                *y += self.weight.values[output * self.inputs() + input] * x;
            }
        }
        y
    }

    /// Adds to the gradients, and returns that by `x`.
    fn backward(&mut self, x: &[f64], by_y: &[f64]) -> Vec<f64> {
        let inputs = self.inputs();
        let mut by_x = vec![0.0; inputs];
        for (output, by_y) in by_y.iter().enumerate() {
            self.bias.gradient[output] += by_y;
            for input in 0..inputs {
                self.weight.gradient[output * inputs + input] += by_y * x[input];
                by_x[input] += by_y * self.weight.values[output * inputs + input];
            }
        }
        by_x
    }

    fn inputs(&self) -> usize {
        self.weight.values.len() / self.bias.values.len()
    }
}

fn relu(x: &[f64]) -> Vec<f64> {
    x.iter().map(|x| x.max(0.0)).collect()
}

/// The gradient by what went into a rectifier, from that by what came out.
fn through_relu(input: &[f64], by_output: &[f64]) -> Vec<f64> {
    input.iter().zip(by_output).map(|(input, by)| if *input > 0.0 { *by } else { 0.0 }).collect()
}

/// `h[i] = ReLU(second(ReLU(first((1 + eps) x[i] + sum of x[j] over the edges j -> i))))`.
#[derive(Clone)]
pub struct Convolution {
    pub eps: Weights,
    pub first: Map,
    pub second: Map,
}

/// What a convolution computed for each node.
struct Computed {
    x: Vec<Vec<f64>>,
    sums: Vec<Vec<f64>>,
    hidden: Vec<Vec<f64>>,
    output: Vec<Vec<f64>>,
}

impl Convolution {
    fn forward(&self, x: Vec<Vec<f64>>, edges: &[[usize; 2]]) -> Computed {
        let own = 1.0 + self.eps.values[0];
        let mut sums: Vec<Vec<f64>> = x.iter().map(|x| x.iter().map(|x| own * x).collect()).collect();
        for [source, target] in edges {
            for (sum, x) in sums[*target].iter_mut().zip(&x[*source]) {
                *sum += x;
            }
        }
        let hidden: Vec<Vec<f64>> = sums.iter().map(|sum| self.first.forward(sum)).collect();
        let output = hidden.iter().map(|hidden| self.second.forward(&relu(hidden))).collect();
        Computed { x, sums, hidden, output }
    }

    /// Takes the gradient by what left the last rectifier, and returns that by `x`.
    fn backward(&mut self, computed: &Computed, edges: &[[usize; 2]], by_h: &[Vec<f64>]) -> Vec<Vec<f64>> {
        let Computed { x, sums, hidden, output } = computed;
        let mut by_sums = Vec::new();
        for node in 0..x.len() {
            let by_output = through_relu(&output[node], &by_h[node]);
            let by_activated = self.second.backward(&relu(&hidden[node]), &by_output);
            by_sums.push(self.first.backward(&sums[node], &through_relu(&hidden[node], &by_activated)));
        }
        let own = 1.0 + self.eps.values[0];
        let mut by_x: Vec<Vec<f64>> = by_sums.iter().map(|by| by.iter().map(|by| own * by).collect()).collect();
        for (x, by_sum) in x.iter().zip(&by_sums) {
            self.eps.gradient[0] += x.iter().zip(by_sum).map(|(x, by)| x * by).sum::<f64>();
        }
        for [source, target] in edges {
            for (by_x, by_sum) in by_x[*source].iter_mut().zip(&by_sums[*target]) {
                *by_x += by_sum;
            }
        }
        by_x
    }
}

/// The rule by which weights follow their gradients.
#[derive(Clone, Copy)]
pub enum Rule {
    Sgd { rate: f64, momentum: f64 },
    Adam { rate: f64, betas: [f64; 2], epsilon: f64 },
}

/// Convolutions, the sum over the nodes of each graph, and a map to the classes.
#[derive(Clone)]
pub struct PlainModel {
    pub convolutions: Vec<Convolution>,
    pub last: Map,
    /// Steps so far.
    pub steps: i32,
}

impl PlainModel {
    /// Learns from one batch, and returns the mean loss of its graphs before the step.
    pub fn step(&mut self, batch: &[&PlainGraph], rule: Rule) -> f64 {
        for weights in self.weights_mut() {
            weights.gradient.fill(0.0);
        }
        let share = 1.0 / batch.len() as f64;
        let loss: f64 = batch.iter().map(|graph| self.learn(graph, share)).sum();
        self.steps += 1;
        let number = self.steps;
        for weights in self.weights_mut() {
            if weights.learns {
                follow(weights, rule, number);
            }
        }
        share * loss
    }

    /// Adds `share` times the gradients of the loss of one graph, and returns that loss.
    fn learn(&mut self, graph: &PlainGraph, share: f64) -> f64 {
        let mut x = graph.features.clone();
        let mut computed = Vec::new();
        for convolution in &self.convolutions {
            let layer = convolution.forward(x, &graph.edges);
            x = layer.output.iter().map(|output| relu(output)).collect();
            computed.push(layer);
        }
        let mut sum = vec![0.0; x[0].len()];
        for x in &x {
            for (sum, x) in sum.iter_mut().zip(x) {
                *sum += x;
            }
        }
        let logits = self.last.forward(&sum);
        let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let exponentials: Vec<f64> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let total: f64 = exponentials.iter().sum();
        let loss = total.ln() + largest - logits[graph.class];

        let mut by_logits: Vec<f64> = exponentials.iter().map(|number| share * number / total).collect();
        by_logits[graph.class] -= share;
        let by_sum = self.last.backward(&sum, &by_logits);
        let mut by_x = vec![by_sum; x.len()];
        for (convolution, computed) in self.convolutions.iter_mut().zip(&computed).rev() {
            by_x = convolution.backward(computed, &graph.edges, &by_x);
        }
        loss
    }

    fn weights_mut(&mut self) -> impl Iterator<Item = &mut Weights> {
        let of_convolutions = self.convolutions.iter_mut().flat_map(|convolution| {
            let Convolution { eps, first, second } = convolution;
            [eps, &mut first.weight, &mut first.bias, &mut second.weight, &mut second.bias]
        });
        of_convolutions.chain([&mut self.last.weight, &mut self.last.bias])
    }
}

fn follow(weights: &mut Weights, rule: Rule, step: i32) {
    let [first, second] = &mut weights.moments;
    for (place, value) in weights.values.iter_mut().enumerate() {
        let gradient = weights.gradient[place];
        match rule {
            Rule::Sgd { rate, momentum } => {
                first[place] = momentum * first[place] + gradient;
                *value -= rate * first[place];
            }
            Rule::Adam { rate, betas, epsilon } => {
                first[place] = betas[0] * first[place] + (1.0 - betas[0]) * gradient;
                second[place] = betas[1] * second[place] + (1.0 - betas[1]) * gradient * gradient;
                let mean = first[place] / (1.0 - betas[0].powi(step));
                let square = second[place] / (1.0 - betas[1].powi(step));
                *value -= rate * mean / (square.sqrt() + epsilon);
            }
        }
    }
}
