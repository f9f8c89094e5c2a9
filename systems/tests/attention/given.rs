//! The layers, with what they are given.

use super::{
    common::{Matrices, differences::Case},
    formula::mean_of_heads,
    harness::{give_edges, parameters},
};
use connectome_systems::layers::{GatConv, Gatv2Conv, ResGatedGraphConv, TransformerConv};
use ndarray::Array2;
use proptest::prelude::*;

/// What the layers with heads can be asked for, beside widths.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub heads: usize,
    pub mean: bool,
    pub edge_width: usize,
    pub flag: bool,
    /// How often each link is there: nodes with hundreds of them are gone through in several steps.
    pub copies: usize,
}

impl Options {
    pub fn copy_links(&self, case: Case) -> Case {
        Case { links: case.links.repeat(self.copies), ..case }
    }

    pub fn shape(&self, case: &Case) -> [usize; 2] {
        [self.heads, case.output_width]
    }

    pub fn columns(&self, case: &Case) -> usize {
        self.heads * case.output_width
    }

    pub fn output_columns(&self, case: &Case) -> usize {
        if self.mean { case.output_width } else { self.columns(case) }
    }

    pub fn together(&self, case: &Case, heads: Array2<f64>) -> Array2<f64> {
        if self.mean { mean_of_heads(&heads, self.shape(case)) } else { heads }
    }
}

pub fn options() -> impl Strategy<Value = Options> {
    let flags = (any::<bool>(), any::<bool>());
    let copies = prop_oneof![9 => Just(1), 1 => Just(20)];
    (1..=3usize, 0..=2usize, flags, copies).prop_map(|(heads, edge_width, (mean, flag), copies)| Options {
        heads,
        mean,
        edge_width,
        flag,
        copies,
    })
}

pub fn gat_conv(case: &Case, options: Options) -> (GatConv, Matrices) {
    let (columns, vectors) = (options.columns(case), (options.heads, case.output_width));
    let layer = GatConv {
        heads: options.heads,
        concat: !options.mean,
        edge_features: options.edge_width > 0,
        add_self_loops: options.flag,
        ..GatConv::new(case.output_width)
    };
    let mut shapes = vec![
        ("lin.weight", (case.input_width, columns)),
        ("att_src", vectors),
        ("att_dst", vectors),
        ("bias", (1, options.output_columns(case))),
    ];
    if layer.edge_features {
        shapes.extend([("lin_edge.weight", (options.edge_width, columns)), ("att_edge", vectors)]);
    }
    let mut given = parameters(case, &shapes);
    give_edges(case, options.edge_width, &mut given);
    (layer, given)
}

pub fn gatv2_conv(case: &Case, options: Options) -> (Gatv2Conv, Matrices) {
    let columns = options.columns(case);
    let layer = Gatv2Conv {
        heads: options.heads,
        concat: !options.mean,
        edge_features: options.edge_width > 0,
        add_self_loops: options.flag,
        ..Gatv2Conv::new(case.output_width)
    };
    let mut shapes = vec![
        ("lin_l.weight", (case.input_width, columns)),
        ("lin_l.bias", (1, columns)),
        ("lin_r.weight", (case.input_width, columns)),
        ("lin_r.bias", (1, columns)),
        ("att", (options.heads, case.output_width)),
        ("bias", (1, options.output_columns(case))),
    ];
    if layer.edge_features {
        shapes.push(("lin_edge.weight", (options.edge_width, columns)));
    }
    let mut given = parameters(case, &shapes);
    give_edges(case, options.edge_width, &mut given);
    (layer, given)
}

pub fn transformer_conv(case: &Case, options: Options, root: bool) -> (TransformerConv, Matrices) {
    let (columns, output_columns) = (options.columns(case), options.output_columns(case));
    let layer = TransformerConv {
        heads: options.heads,
        concat: !options.mean,
        beta: options.flag && root,
        root,
        edge_features: options.edge_width > 0,
        ..TransformerConv::new(case.output_width)
    };
    let mut shapes = vec![
        ("lin_key.weight", (case.input_width, columns)),
        ("lin_key.bias", (1, columns)),
        ("lin_query.weight", (case.input_width, columns)),
        ("lin_query.bias", (1, columns)),
        ("lin_value.weight", (case.input_width, columns)),
        ("lin_value.bias", (1, columns)),
    ];
    if root {
        shapes
            .extend([("lin_skip.weight", (case.input_width, output_columns)), ("lin_skip.bias", (1, output_columns))]);
    }
    if layer.beta {
        shapes.push(("lin_beta.weight", (3 * output_columns, 1)));
    }
    if layer.edge_features {
        shapes.push(("lin_edge.weight", (options.edge_width, columns)));
    }
    let mut given = parameters(case, &shapes);
    give_edges(case, options.edge_width, &mut given);
    (layer, given)
}

pub fn res_gated_conv(case: &Case) -> (ResGatedGraphConv, Matrices) {
    let (weight, bias) = ((case.input_width, case.output_width), (1, case.output_width));
    let shapes = [
        ("bias", bias),
        ("lin_key.weight", weight),
        ("lin_key.bias", bias),
        ("lin_query.weight", weight),
        ("lin_query.bias", bias),
        ("lin_value.weight", weight),
        ("lin_value.bias", bias),
        ("lin_skip.weight", weight),
    ];
    (ResGatedGraphConv::new(case.output_width), parameters(case, &shapes))
}
