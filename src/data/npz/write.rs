//! Graphs into `.npz` files.

use std::io::Cursor;

use connectome_components::Split;
use ndarray::{ArrayView1, ArrayView2};
use ndarray_npy::{NpzWriter, WritableElement};

use super::splits::{OF_EDGES, SPLITS};
use crate::data::{DenseRows, EdgeLabels, Features, GraphData, GraphKinds, GraphSet};
use crate::data::{GraphFileError, Problem};

impl GraphData {
    /// The bytes of an `.npz` file that [`GraphData::read_npz`] reads back equal; the same data give the same bytes. With several
    /// kinds of nodes a scene that names them does.
    ///
    /// # Errors
    ///
    /// If the parts of the data have different lengths.
    pub fn to_npz(&self) -> Result<Vec<u8>, GraphFileError> {
        write(self).map_err(|problem| problem.of_file("graph"))
    }
}

fn write(data: &GraphData) -> Result<Vec<u8>, Problem> {
    let mut file = File { writer: NpzWriter::new_compressed(Cursor::new(Vec::new())), part: None };
    if let Some(kinds) = &data.kinds {
        file.kinds(data, kinds)?;
        return file.finish();
    }
    file.features(&data.features, data.nodes)?;
    file.edges(data)?;
    file.optional_rows("node_target", data.targets.as_ref(), data.nodes)?;
    file.names("node", &data.names, data.nodes)?;
    file.names("class", &data.class_names, data.class_names.len())?;
    match &data.graphs {
        None => {
            file.numbers("y", &data.labels, data.nodes)?;
            file.splits("", &data.splits, data.nodes)?;
        }
        Some(graphs) => {
            file.numbers("node_label", &data.labels, data.nodes)?;
            file.set(graphs)?;
        }
    }
    file.masks(&data.alternative_splits, data.graphs.as_ref().map_or(data.nodes, GraphSet::len))?;
    file.finish()
}

/// A file that is being written.
struct File {
    writer: NpzWriter<Cursor<Vec<u8>>>,
    /// The kind of nodes or the relation whose arrays are written.
    part: Option<String>,
}

impl File {
    fn finish(self) -> Result<Vec<u8>, Problem> {
        Ok(self.writer.finish().map_err(|error| unwritten("the file", &error.to_string()))?.into_inner())
    }

    /// What an array is called in the file.
    fn full_name(&self, array: &str) -> String {
        self.part.as_ref().map_or_else(|| array.to_owned(), |part| format!("{array}.{part}"))
    }

    /// All kinds of nodes and all relations.
    fn kinds(&mut self, data: &GraphData, kinds: &GraphKinds) -> Result<(), Problem> {
        let others = kinds.others.iter().map(|kind| (&kind.name, &kind.nodes));
        for (name, nodes) in std::iter::once((&kinds.own, data)).chain(others) {
            self.part = Some(name.clone());
            let count = nodes.nodes;
            self.numbers("num_nodes", &[count], 1)?;
            if nodes.features.width() > 0 {
                self.features(&nodes.features, count)?;
            }
            if !nodes.labels.is_empty() {
                self.numbers("y", &nodes.labels, count)?;
            }
            if nodes.splits.iter().any(|split| *split != Split::Unused) {
                self.splits("", &nodes.splits, count)?;
            }
            self.masks(&nodes.alternative_splits, count)?;
            self.optional_rows("node_target", nodes.targets.as_ref(), count)?;
            self.names("node", &nodes.names, count)?;
            self.names("class", &nodes.class_names, nodes.class_names.len())?;
        }
        for relation in &kinds.relations {
            self.part = Some(relation.name.clone());
            self.endpoints(&relation.edges)?;
            if let Some(weights) = &relation.weights {
                self.list("edge_weight", weights, relation.edges.len())?;
            }
            self.optional_rows("edge_attr", relation.features.as_ref(), relation.edges.len())?;
        }
        Ok(())
    }

    fn list<T: WritableElement>(&mut self, name: &str, values: &[T], length: usize) -> Result<(), Problem> {
        if values.len() != length {
            return Err(wrong_length(name, values.len(), length));
        }
        let name = &self.full_name(name);
        self.writer.add_array(name, &ArrayView1::from(values)).map_err(|error| unwritten(name, &error.to_string()))
    }

    fn matrix<T: WritableElement>(&mut self, name: &str, values: &[T], shape: (usize, usize)) -> Result<(), Problem> {
        let expected = shape.0.saturating_mul(shape.1);
        let array = match ArrayView2::from_shape(shape, values) {
            Ok(array) if values.len() == expected => array,
            _ => return Err(wrong_length(name, values.len(), expected)),
        };
        let name = &self.full_name(name);
        self.writer.add_array(name, &array).map_err(|error| unwritten(name, &error.to_string()))
    }

    /// Whole numbers in the type that most programs read: `int32`, as long as they fit.
    fn numbers<T: Copy + TryInto<i32> + TryInto<i64>>(
        &mut self,
        name: &str,
        values: &[T],
        length: usize,
    ) -> Result<(), Problem> {
        let narrow: Option<Vec<i32>> = values.iter().map(|&value| value.try_into().ok()).collect();
        if let Some(narrow) = narrow {
            return self.list(name, &narrow, length);
        }
        let wide: Option<Vec<i64>> = values.iter().map(|&value| value.try_into().ok()).collect();
        let wide = wide.ok_or_else(|| unwritten(name, "a number is beyond 64 bits"))?;
        self.list(name, &wide, length)
    }

    fn features(&mut self, features: &Features, nodes: usize) -> Result<(), Problem> {
        match features {
            Features::Dense { width, values } => self.matrix("x", values, (nodes, *width)),
            Features::Sparse { width, offsets, indices, values } => {
                self.numbers("x_shape", &[nodes, *width], 2)?;
                self.numbers("x_indptr", offsets, nodes + 1)?;
                self.numbers("x_indices", indices, values.len())?;
                self.list("x_data", values, values.len())
            }
        }
    }

    fn optional_rows(&mut self, name: &str, rows: Option<&DenseRows>, count: usize) -> Result<(), Problem> {
        rows.map_or(Ok(()), |rows| self.matrix(name, &rows.values, (count, rows.width)))
    }

    fn endpoints(&mut self, edges: &[[u32; 2]]) -> Result<(), Problem> {
        let endpoints = (0..2).flat_map(|end| edges.iter().map(move |endpoints| endpoints[end]));
        let narrow: Option<Vec<i32>> = endpoints.clone().map(|end| end.try_into().ok()).collect();
        let shape = (2, edges.len());
        match narrow {
            Some(narrow) => self.matrix("edge_index", &narrow, shape),
            None => self.matrix("edge_index", &endpoints.map(i64::from).collect::<Vec<_>>(), shape),
        }
    }

    fn edges(&mut self, data: &GraphData) -> Result<(), Problem> {
        self.endpoints(&data.edges)?;
        if let Some(weights) = &data.weights {
            self.list("edge_weight", weights, data.edges.len())?;
        }
        self.optional_rows("edge_attr", data.edge_features.as_ref(), data.edges.len())?;
        data.edge_labels.as_ref().map_or(Ok(()), |edges| self.edge_labels(edges, data.edges.len()))
    }

    fn names(&mut self, what: &str, names: &[String], count: usize) -> Result<(), Problem> {
        if names.is_empty() {
            return Ok(());
        }
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        for name in names {
            bytes.extend(name.bytes());
            starts.push(bytes.len());
        }
        self.list(&format!("{what}_name"), &bytes, bytes.len())?;
        self.numbers(&format!("{what}_name_ptr"), &starts, count + 1)
    }

    /// Several splits, as masks.
    fn masks(&mut self, all: &[Vec<Split>], count: usize) -> Result<(), Problem> {
        for (name, split) in SPLITS.into_iter().filter(|_| !all.is_empty()) {
            let mask: Vec<bool> = all.iter().flatten().map(|&other| other == split).collect();
            self.matrix(&format!("{name}_masks"), &mask, (all.len(), count))?;
        }
        Ok(())
    }

    fn splits(&mut self, prefix: &str, splits: &[Split], count: usize) -> Result<(), Problem> {
        for (name, split) in SPLITS {
            let name = format!("{prefix}{name}");
            if splits.len() != count {
                return Err(wrong_length(&name, splits.len(), count));
            }
            let members: Vec<usize> = (0..count).filter(|&member| splits[member] == split).collect();
            self.numbers(&name, &members, members.len())?;
        }
        Ok(())
    }

    fn edge_labels(&mut self, edges: &EdgeLabels, count: usize) -> Result<(), Problem> {
        self.numbers("edge_label", &edges.labels, count)?;
        self.optional_rows("edge_target", edges.targets.as_ref(), count)?;
        self.splits(OF_EDGES, &edges.splits, count)
    }

    fn set(&mut self, graphs: &GraphSet) -> Result<(), Problem> {
        let count = graphs.len();
        self.numbers("y", &graphs.labels, count)?;
        self.numbers("node_ptr", &graphs.node_offsets, count + 1)?;
        self.numbers("edge_ptr", &graphs.edge_offsets, count + 1)?;
        self.splits("", &graphs.splits, count)?;
        self.optional_rows("graph_target", graphs.targets.as_ref(), count)?;
        graphs.folds.as_ref().map_or(Ok(()), |folds| self.list("fold", folds, count))
    }
}

fn wrong_length(array: &str, given: usize, expected: usize) -> Problem {
    Problem::of(array, format!("has {given} values"), format!("the rest of the data asks for {expected}"))
}

fn unwritten(what: &str, error: &str) -> Problem {
    Problem::new(format!("{what} cannot be written: {error}"), "use a smaller graph, or report this as a bug")
}
