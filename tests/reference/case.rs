//! A case: one `.npz` file.

use super::{Result, common::Link};
use ndarray::{Array2, ArrayD, Ix2};
use ndarray_npy::{ReadNpyExt, ReadableElement, WritableElement, WriteNpyExt};
use serde::Deserialize;
use std::{collections::BTreeMap, fs::File, io::Read, path::Path};

/// One file: its arrays, not yet decoded, and its description.
#[derive(Clone)]
pub struct Case {
    arrays: BTreeMap<String, Vec<u8>>,
    pub meta: Meta,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Meta {
    pub case: String,
    pub class: String,
    pub optimizer: String,
    pub note: String,
}

impl Case {
    pub fn open(path: &Path) -> Result<Self> {
        let mut archive = zip::ZipArchive::new(File::open(path)?)?;
        let mut arrays = BTreeMap::new();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index)?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            arrays.insert(file.name().trim_end_matches(".npy").to_owned(), bytes);
        }
        let meta = arrays.get("meta").ok_or("there is no `meta`")?;
        Ok(Self { meta: serde_json::from_str(&read_text(meta)?)?, arrays })
    }

    pub fn has(&self, name: &str) -> bool {
        self.arrays.contains_key(name)
    }

    /// Adds an array, or replaces it.
    pub fn insert<T: WritableElement>(&mut self, name: &str, array: &Array2<T>) -> Result<()> {
        let mut bytes = Vec::new();
        array.write_npy(&mut bytes)?;
        self.arrays.insert(name.to_owned(), bytes);
        Ok(())
    }

    /// An array of floats of either width; of Booleans as 0 and 1.
    pub fn floats(&self, name: &str) -> Result<ArrayD<f64>> {
        let narrow = || -> Result<_> { Ok(self.decode::<f32>(name)?.mapv(f64::from)) };
        let binary = || -> Result<_> { Ok(self.decode::<bool>(name)?.mapv(|is_set| f64::from(u8::from(is_set)))) };
        self.decode::<f64>(name).or_else(|_| narrow()).or_else(|error| binary().map_err(|_| error))
    }

    /// An array of integers of either width.
    pub fn integers(&self, name: &str) -> Result<ArrayD<i64>> {
        self.decode::<i64>(name).or_else(|_| Ok(self.decode::<i32>(name)?.mapv(i64::from)))
    }

    fn decode<T: ReadableElement>(&self, name: &str) -> Result<ArrayD<T>> {
        let bytes = self.arrays.get(name).ok_or_else(|| format!("there is no `{name}`"))?;
        ArrayD::read_npy(&bytes[..]).map_err(|error| format!("`{name}`: {error}").into())
    }

    /// A matrix; a vector is one row.
    pub fn matrix(&self, name: &str) -> Result<Array2<f64>> {
        let array = self.floats(name)?;
        let array = if array.ndim() == 1 { array.insert_axis(ndarray::Axis(0)) } else { array };
        let shape = array.shape().to_vec();
        array.into_dimensionality::<Ix2>().map_err(|_| format!("`{name}` is no matrix but {shape:?}").into())
    }

    pub fn matrix_of(&self, name: &str, shape: (usize, usize)) -> Result<Array2<f64>> {
        let matrix = self.matrix(name)?;
        if matrix.dim() == shape {
            return Ok(matrix);
        }
        Err(format!("`{name}` is {:?} where {shape:?} is expected", matrix.dim()).into())
    }

    /// The names of the layer's parameters without `param.`.
    pub fn parameters(&self) -> impl Iterator<Item = &str> {
        self.arrays.keys().filter_map(|name| name.strip_prefix("param."))
    }

    /// The numbers of an array that is to have this shape.
    pub fn numbers(&self, name: &str, shape: &[usize]) -> Result<Vec<f64>> {
        let array = self.floats(name)?;
        if array.shape() != shape {
            return Err(format!("`{name}` is {:?} where {shape:?} is expected", array.shape()).into());
        }
        Ok(array.iter().copied().collect())
    }

    pub fn links(&self, node_count: usize) -> Result<Vec<Link>> {
        if !self.has("edge_index") {
            return Ok(Vec::new());
        }
        let endpoints = self.integers("edge_index")?;
        if endpoints.ndim() != 2 || endpoints.shape()[0] != 2 {
            return Err(format!("`edge_index` is {:?} and not 2 rows", endpoints.shape()).into());
        }
        let weights = self.edge_weights(endpoints.shape()[1])?;
        let node = |row, edge| match usize::try_from(endpoints[[row, edge]]) {
            Ok(node) if node < node_count => Ok(node),
            _ => Err(format!("`edge_index`: edge {edge} names node {} of {node_count}", endpoints[[row, edge]])),
        };
        let link = |(edge, weight)| Ok(Link { source: node(0, edge)?, target: node(1, edge)?, weight });
        weights.into_iter().enumerate().map(link).collect()
    }

    /// From the array `edge_weight`, or a note such as `edge weight of edge k is (k mod 5 + 1) * 0.3`.
    fn edge_weights(&self, count: usize) -> Result<Vec<Option<f32>>> {
        if self.has("edge_weight") {
            let weights = self.floats("edge_weight")?;
            let weights: Vec<_> = weights.iter().map(|weight| Some(*weight as f32)).collect();
            return if weights.len() == count {
                Ok(weights)
            } else {
                Err("`edge_weight` is not one for each edge".into())
            };
        }
        if !self.meta.note.contains("edge weight") {
            return Ok(vec![None; count]);
        }
        let formula =
            WeightFormula::parse(&self.meta.note).ok_or_else(|| format!("not understood: {}", self.meta.note))?;
        Ok((0..count).map(|edge| Some(formula.weight(edge))).collect())
    }
}

/// `(k mod period + offset) * factor` for edge `k`.
pub struct WeightFormula {
    period: usize,
    offset: f64,
    factor: f64,
}

impl WeightFormula {
    pub fn parse(note: &str) -> Option<Self> {
        let (period, rest) = note.split_once("(k mod ")?.1.split_once('+')?;
        let (offset, rest) = rest.split_once(')')?;
        let factor = rest.split_once('*')?.1.split_whitespace().next()?.trim_end_matches([',', ';']);
        let period = period.trim().parse().ok().filter(|period| *period > 0)?;
        Some(Self { period, offset: offset.trim().parse().ok()?, factor: factor.trim_end_matches('.').parse().ok()? })
    }

    pub fn weight(&self, edge: usize) -> f32 {
        (((edge % self.period) as f64 + self.offset) * self.factor) as f32
    }
}

/// A single string as numpy writes it: a header that is the text of a Python dictionary, then code points of 32 bits.
fn read_text(bytes: &[u8]) -> Result<String> {
    let wide = *bytes.get(6).ok_or("`meta` is cut off")? > 1;
    let start = if wide { 12 } else { 10 };
    let length = bytes.get(8..start).ok_or("`meta` is cut off")?;
    let length = length.iter().rev().fold(0, |length, byte| 256 * length + usize::from(*byte));
    let header = std::str::from_utf8(bytes.get(start..start + length).ok_or("`meta` is cut off")?)?;
    if !header.contains("'<U") {
        return Err(format!("`meta` is no text: {header}").into());
    }
    let points = bytes[start + length..].chunks_exact(4).map(|point| [point[0], point[1], point[2], point[3]]);
    let text = points.map(|point| char::from_u32(u32::from_le_bytes(point)).ok_or("`meta` is no text"));
    Ok(text.collect::<std::result::Result<String, _>>()?.trim_end_matches('\0').to_owned())
}
