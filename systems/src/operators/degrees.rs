//! Factors of nodes by their number of incoming edges.

use crate::{
    error::BuildError,
    program::{Cost, Domain, Footprint, Operator, Partition, Program, Shape, Step, Value, Weight},
};

/// A factor of a node from its number `d` of incoming edges and the mean `m` of `ln(d + 1)` over nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DegreeScaler {
    /// 1 if there is an incoming edge, 0 if not.
    Presence,
    /// `ln(d + 1) / m` (Corso et al., NeurIPS 2020, eq. 5 with exponent 1).
    Amplification,
    /// `m / ln(d + 1)`, with 1 in place of a `d` of 0 (the same with exponent -1).
    Attenuation,
}

impl DegreeScaler {
    #[inline(always)]
    fn factor(self, degree: usize, mean: f32) -> f32 {
        let log = |degree: usize| (degree as f32).ln_1p();
        match self {
            Self::Presence => f32::from(u8::from(degree > 0)),
            // The mean is 0 on a graph without edges.
            _ if mean <= 0.0 => 1.0,
            Self::Amplification => log(degree) / mean,
            Self::Attenuation => mean / log(degree.max(1)),
        }
    }
}

/// The factor of each node, `[N, 1]`; `mean` is the scalar `m`, through which no gradient flows.
///
/// # Errors
/// If the mean is not a single number.
pub fn degree_factors(program: &mut Program, scaler: DegreeScaler, mean: &Weight) -> Result<Value, BuildError> {
    let nodes = program.nodes();
    program.record_one(DegreeFactors { scaler, nodes }, &[mean.value().detached()])
}

/// [`degree_factors`].
#[derive(Clone, Copy, Debug, PartialEq)]
struct DegreeFactors {
    scaler: DegreeScaler,
    nodes: Domain,
}

impl Operator for DegreeFactors {
    fn name(&self) -> &'static str {
        "degree_factors"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, inputs: &[Value]) -> Result<Vec<Shape>, String> {
        match inputs[0].width() {
            1 => Ok(vec![Shape::new(self.nodes, 1)]),
            width => Err(format!("compares degrees with a mean of {width} values; give a scalar")),
        }
    }

    fn run(&self, step: &mut Step<'_>) {
        let scaler = self.scaler;
        step.write_rows(
            Partition::Uniform,
            [0],
            #[inline(always)]
            move |topology, [mean], rows, output| {
                let Some([mean]) = mean.rows().next() else { return };
                for (row, output) in rows.zip(output) {
                    *output = scaler.factor(topology.incoming.entries(row).len(), *mean);
                }
            },
        );
    }
}

/// Measures the means of `d` and of `ln(d + 1)` over the nodes of the present graph, each unless its buffer is positive
/// already. Returns the updated buffers.
///
/// # Errors
/// If a buffer is not a single number.
pub fn measure_degrees(
    program: &mut Program,
    mean: Weight,
    mean_of_logarithms: Weight,
) -> Result<[Weight; 2], BuildError> {
    Ok([
        program.record_update(MeanDegree { of_logarithms: false }, &[], mean)?,
        program.record_update(MeanDegree { of_logarithms: true }, &[], mean_of_logarithms)?,
    ])
}

/// One of the means of [`measure_degrees`], outside of training too.
#[derive(Clone, Copy, Debug, PartialEq)]
struct MeanDegree {
    of_logarithms: bool,
}

impl Operator for MeanDegree {
    fn name(&self) -> &'static str {
        "measure_degrees"
    }

    fn footprint(&self, _: usize) -> Footprint {
        Footprint::Same
    }

    fn shapes(&self, _: &[Value]) -> Result<Vec<Shape>, String> {
        Ok(vec![Shape::new(Domain::Single, 1)])
    }

    fn cost(&self, _: &[Value], _: &[Value]) -> Cost {
        Cost::default()
    }

    fn run(&self, step: &mut Step<'_>) {
        let offsets = &step.topology().incoming.offsets;
        if let (Some(mean @ ..=0.0), 2..) = (step.output(0).rows_mut().flatten().next(), offsets.len()) {
            let degrees = offsets.windows(2).map(|pair| f64::from(pair[1] - pair[0]));
            let sum: f64 = if self.of_logarithms { degrees.map(f64::ln_1p).sum() } else { degrees.sum() };
            *mean = (sum / (offsets.len() - 1) as f64) as f32;
        }
    }
}
