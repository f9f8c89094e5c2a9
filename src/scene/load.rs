//! Loads scenes and their graphs.

use std::io::{self, Read};
use std::path::Path;

use super::check::memory::{self, Extent, Memory};
use super::description::{GraphSource, SceneEdge, SceneFile, SceneNode, TermPairs};
use super::error::{Fault, Faults, SceneError, Source};
#[cfg(feature = "import")]
use super::functions;
use super::locate::{Position, Step};
use super::{
    check::{data, settings},
    inline, inline_kinds, scaling, syntax, terms, words,
};
use crate::data::{GraphData, npz};
use crate::suggest::quote;

/// The longest scene file, in bytes. A larger graph belongs in an `.npz`.
const LONGEST_SCENE: u64 = 1 << 26;

/// How an `.npz` begins, which is a zip.
const ARCHIVE: &[u8] = b"PK\x03\x04";

impl SceneFile {
    /// Reads a scene file and the graph it names, and checks both.
    ///
    /// # Errors
    ///
    /// If the file or its graph cannot be read, is malformed or makes no sense; the error shows where.
    pub fn load(path: impl AsRef<Path>) -> Result<(Self, GraphData), SceneError> {
        Self::load_with_notes(path).map(|(scene, data, _)| (scene, data))
    }

    /// As [`SceneFile::load`], with notes for people on what of the graph's file was left out or made up.
    ///
    /// # Errors
    ///
    /// As [`SceneFile::load`].
    pub fn load_with_notes(path: impl AsRef<Path>) -> Result<(Self, GraphData, Vec<String>), SceneError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let bytes = read_scene(path, &file)?;
        let source = Source { file: &file, text: decode(&file, &bytes)? };
        let scene: Self = syntax::read(&source)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        let (data, notes) = scene.inspect_with_graph(folder).map_err(|faults| source.locate_all(faults))?;
        Ok((scene, data, notes))
    }

    /// As [`SceneFile::load_with_notes`], with other data of the same format in place of the scene's: a graph file, or a file of
    /// pairs or functions that are tested.
    ///
    /// # Errors
    ///
    /// As [`SceneFile::load`]; errors of the data show their place in [`SceneFile::to_ron`].
    pub fn load_with_data(
        path: impl AsRef<Path>,
        data: impl AsRef<Path>,
    ) -> Result<(Self, GraphData, Vec<String>), SceneError> {
        let path = path.as_ref();
        let mut scene = Self::load_model(path)?;
        // The paths of a scene are taken from its folder.
        let data = std::path::absolute(&data).unwrap_or_else(|_| data.as_ref().to_owned());
        let file = data.to_string_lossy().into_owned();
        match &mut scene.graph {
            GraphSource::Terms { validation, test, .. } => (*validation, *test) = (None, Some(TermPairs::File(file))),
            GraphSource::Functions { validation, test, .. } => (*validation, *test) = (Vec::new(), vec![file]),
            GraphSource::Words { validation, held_out, test, .. } => {
                (*validation, *held_out, *test) = (None, 0, Some(file));
            }
            graph => *graph = GraphSource::Npz(file),
        }
        let folder = path.parent().unwrap_or(Path::new(""));
        let (data, notes) = scene.inspect_with_graph(folder).map_err(|faults| scene.locate(faults))?;
        Ok((scene, data, notes))
    }

    /// Reads a scene file without the graph file it names, as [`SceneFile::parse`] does its text.
    ///
    /// # Errors
    ///
    /// As [`SceneFile::parse`], or if it cannot be read.
    pub fn load_model(path: impl AsRef<Path>) -> Result<Self, SceneError> {
        let path = path.as_ref();
        let file = path.display().to_string();
        let bytes = read_scene(path, &file)?;
        Self::parse(decode(&file, &bytes)?, &file)
    }

    /// Reads a scene and checks all that can be checked without opening a graph file; `file_name` is for errors.
    ///
    /// # Errors
    ///
    /// If the text is malformed or makes no sense; the error shows where.
    pub fn parse(text: &str, file_name: &str) -> Result<Self, SceneError> {
        let source = Source { file: file_name, text: without_mark(text) };
        let scene: Self = syntax::read(&source)?;
        scene.inspect().map_err(|faults| source.locate_all(faults))?;
        Ok(scene)
    }

    /// Writes the scene as text that [`SceneFile::parse`] reads back equal.
    ///
    /// # Errors
    ///
    /// If it cannot be written, which no scene is known to cause.
    pub fn to_ron(&self) -> Result<String, SceneError> {
        syntax::write(self)
    }

    /// Checks a scene that was built in code, as [`SceneFile::parse`] does.
    ///
    /// # Errors
    ///
    /// If the scene makes no sense; positions are those in [`SceneFile::to_ron`].
    pub fn validate(&self) -> Result<(), SceneError> {
        self.inspect().map_err(|faults| self.locate(faults))
    }

    /// Reads the graph of a scene that was built in code, and checks both; paths are relative to `folder`.
    ///
    /// # Errors
    ///
    /// If scene or graph make no sense; positions are those in [`SceneFile::to_ron`].
    pub fn read_graph(&self, folder: impl AsRef<Path>) -> Result<GraphData, SceneError> {
        self.inspect_with_graph(folder.as_ref()).map(|(data, _)| data).map_err(|faults| self.locate(faults))
    }

    /// The memory that training and inference on this graph take.
    ///
    /// # Errors
    ///
    /// If training takes more than the machine has available, at the width of the first layer that is too large.
    pub fn memory(&self, data: &GraphData) -> Result<Memory, SceneError> {
        memory::estimate(self, Extent::of(data, self))
            .map(|(_, memory)| memory)
            .map_err(|fault| self.locate(fault.into()))
    }

    /// Checks that there is something to learn from in these data, as where another of their splits was taken.
    ///
    /// # Errors
    ///
    /// If the scene cannot be trained on them; positions are those in [`SceneFile::to_ron`].
    pub fn check_data(&self, data: &GraphData) -> Result<(), SceneError> {
        data::check_data(self, data).map(drop).map_err(|fault| self.locate(fault.into()))
    }

    /// Shows faults in the text this scene would have.
    fn locate(&self, faults: Faults) -> SceneError {
        match self.to_ron() {
            Ok(text) => Source { file: &format!("scene {}", quote(&self.name)), text: &text }.locate_all(faults),
            Err(error) => error,
        }
    }

    /// Checks all that can be checked without opening a file.
    fn inspect(&self) -> Result<(), Faults> {
        match self.graph {
            GraphSource::Inline { .. } => self.inspect_with_graph(Path::new("")).map(drop),
            GraphSource::Npz(_)
            | GraphSource::Terms { .. }
            | GraphSource::Functions { .. }
            | GraphSource::Words { .. } => self.inspect_model(),
        }
    }

    /// Checks everything, and returns the graph and notes on its file.
    fn inspect_with_graph(&self, folder: &Path) -> Result<(GraphData, Vec<String>), Faults> {
        self.inspect_model()?;
        let (mut data, notes) = match &self.graph {
            GraphSource::Inline { nodes, edges, undirected } => {
                (self.inline_graph(nodes, edges, *undirected)?, Vec::new())
            }
            GraphSource::Npz(file) => self.read_npz(&folder.join(file))?,
            GraphSource::Terms { rewrite, slots, train, validation, test } => {
                terms::graphs(folder, rewrite, *slots, [Some(train), validation.as_ref(), test.as_ref()])?
            }
            #[cfg(feature = "import")]
            GraphSource::Functions { train, per_epoch, validation, test } => {
                functions::graphs(folder, [train, validation, test], *per_epoch, self.training.seed)?
            }
            #[cfg(not(feature = "import"))]
            GraphSource::Functions { .. } => {
                let message = "this program was built without a parser for code";
                return Err(Fault::new([Step::Field("graph")], message, "build it with the feature `import`").into());
            }
            GraphSource::Words { slots, characters, train, held_out, validation, test } => {
                let files = [Some(train), validation.as_ref(), test.as_ref()];
                words::graphs(folder, (*slots, *characters), *held_out, files)?
            }
        };
        if let Some(graphs) = &mut data.graphs {
            graphs.complete(self.training.seed);
        }
        scaling::scale(&mut data, self)?;
        let demands = data::check_data(self, &data)?;
        let (plan, _) = memory::estimate(self, Extent::of(&data, self))?;
        data::check_output(self, &data, &demands, &plan)?;
        Ok((data, notes))
    }

    fn inspect_model(&self) -> Result<(), Faults> {
        let mut faults = settings::check_scene(self);
        if faults.is_empty() {
            // Layers too large for any machine are refused before a graph is read.
            return Ok(memory::check_size(self)?);
        }
        // What is wrong with a graph in the scene can be told as well, unless its kinds may be what is wrong.
        if let (GraphSource::Inline { nodes, edges, undirected }, false) = (&self.graph, self.has_kinds()) {
            faults.extend(self.inline_graph(nodes, edges, *undirected).err());
        }
        Err(Faults(faults))
    }

    /// The graph that is written out in the scene.
    fn inline_graph(&self, nodes: &[SceneNode], edges: &[SceneEdge], undirected: bool) -> Result<GraphData, Fault> {
        match self.has_kinds() {
            true => inline_kinds::graph(self, nodes, edges, undirected),
            false => inline::graph(nodes, edges, undirected),
        }
    }

    fn read_npz(&self, path: &Path) -> Result<(GraphData, Vec<String>), Fault> {
        if self.has_kinds() {
            return self.read_kinds(path);
        }
        npz::graph(path, self.features.reads_features()).map_err(|problem| {
            let message = format!("{}: {}", path.display(), problem.message);
            Fault::new([Step::Field("graph")], message, problem.help)
        })
    }
}

fn read_scene(path: &Path, file: &str) -> Result<Vec<u8>, SceneError> {
    read_file(path).map_err(|error| {
        let help = "check the path of the scene file";
        SceneError::unreadable(file, format!("the scene cannot be read: {error}"), help)
    })
}

fn read_file(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    npz::open_file(path)?.take(LONGEST_SCENE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST_SCENE {
        let message = format!("it is longer than {LONGEST_SCENE} bytes; put the graph into an npz file");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, message));
    }
    Ok(bytes)
}

/// A text without the byte order mark that some editors write before it.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

pub(super) fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, SceneError> {
    if bytes.starts_with(ARCHIVE) {
        let message = "this is an archive of arrays, as of a graph, but no scene".to_owned();
        let help = "write a scene that names it, as in `graph: Npz(\"cora.npz\")`, or let `connectome import --scene` write one";
        return Err(SceneError::unreadable(file, message, help));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        // The text before the first invalid byte is valid, so this loses nothing.
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let position = Position::of(&before, before.len());
        let message = format!("byte {:#04x} is not UTF-8", bytes[error.valid_up_to()]);
        Source { file, text: &before }.error(position, message, "save the file as UTF-8".to_owned())
    })?;
    Ok(without_mark(text))
}
