//! `import`: what `export` wrote, into the store.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use half::f16;

use super::exchange::{Components, ExchangeReport, ImageLine, Line, array_path, lines_path};
use super::npy::{self, Shape};
use super::{DistinctEntry, JournalEntry, LabelEntry, Store, StoreError, Writer};
use crate::record::{LocationRecord, LocationState, Space, SpaceId};
use crate::vector::Embedding;

/// Lines stored in one transaction.
const BATCH_LINES: usize = 500;
/// Objects of an image have 16-bit numbers.
const OBJECTS_MAX: usize = u16::MAX as usize;
/// The longest line that is read: far above that of an image in many spaces.
const LINE_BYTES_MAX: u64 = 64 << 20;

impl Store {
    /// Adds what [`Store::export`] wrote to a folder.
    ///
    /// Images that are here already get the record, files, label and embeddings of the export;
    /// others stay. `on_line` hears how many lines were read. What was read before an error is
    /// kept, and the same import can be run again.
    ///
    /// # Errors
    /// [`StoreError::Import`] names the line that cannot be understood; [`StoreError::Io`].
    pub fn import(
        &self,
        folder: &Path,
        on_line: &dyn Fn(u64),
    ) -> Result<ExchangeReport, StoreError> {
        let path = lines_path(folder);
        let file = File::open(&path).map_err(StoreError::io("open", &path))?;
        let mut import = Import {
            store: self,
            folder,
            path,
            number: 0,
            spaces: HashMap::new(),
            report: ExchangeReport::default(),
        };
        let mut file = BufReader::new(file);
        loop {
            let batch = import.read(&mut file)?;
            if batch.is_empty() {
                return Ok(import.report);
            }
            import.store(batch)?;
            on_line(import.number);
        }
    }
}

struct Import<'a> {
    store: &'a Store,
    folder: &'a Path,
    path: PathBuf,
    number: u64,
    /// By their numbers in the export.
    spaces: HashMap<u16, ImportedSpace>,
    report: ExchangeReport,
}

struct ImportedSpace {
    id: SpaceId,
    dimension: usize,
    /// Opened when the first row is asked for.
    array: Option<Rows>,
}

impl Import<'_> {
    fn refuse(&self, line: u64, reason: impl ToString) -> StoreError {
        StoreError::Import { path: self.path.clone(), line, reason: reason.to_string() }
    }

    fn read(&mut self, file: &mut BufReader<File>) -> Result<Vec<(u64, Line)>, StoreError> {
        let mut batch = Vec::new();
        while batch.len() < BATCH_LINES {
            let mut text = Vec::new();
            let mut limited = Read::by_ref(file).take(LINE_BYTES_MAX);
            let read = limited.read_until(b'\n', &mut text);
            if read.map_err(StoreError::io("read", &self.path))? == 0 {
                break;
            }
            self.number += 1;
            let line = serde_json::from_slice(&text);
            batch.push((self.number, line.map_err(|error| self.refuse(self.number, error))?));
        }
        Ok(batch)
    }

    fn store(&mut self, batch: Vec<(u64, Line)>) -> Result<(), StoreError> {
        let mut decisions = Vec::new();
        let store = self.store;
        store.write(|writer| {
            for (number, line) in batch {
                self.store_line(writer, number, line, &mut decisions)?;
            }
            Ok::<(), StoreError>(())
        })?;
        let is_label = |entry: &&JournalEntry| matches!(entry, JournalEntry::Label(_));
        self.report.labels += decisions.iter().filter(is_label).count() as u64;
        if decisions.is_empty() { Ok(()) } else { store.decide(&decisions) }
    }

    fn store_line(
        &mut self,
        writer: &mut Writer<'_>,
        number: u64,
        line: Line,
        decisions: &mut Vec<JournalEntry>,
    ) -> Result<(), StoreError> {
        match line {
            Line::Space { number, space } => self.add_space(writer, number, space),
            Line::Image(line) => self.store_image(writer, number, *line, decisions),
            Line::Failed { path, reason, reader_version, stamp } => {
                let state = LocationState::Failed { reason, reader_version };
                writer.put_location(&path.into(), &LocationRecord { state, stamp })
            }
            Line::Label { image, label } => {
                decisions.push(JournalEntry::Label(LabelEntry { image, label: Some(label) }));
                Ok(())
            }
            Line::Distinct { not_same } => {
                decisions.push(JournalEntry::Distinct(DistinctEntry { not_same, holds: true }));
                Ok(())
            }
        }
    }

    fn add_space(
        &mut self,
        writer: &mut Writer<'_>,
        number: u16,
        space: Space,
    ) -> Result<(), StoreError> {
        let known = self.store.spaces()?.into_iter().find(|(_, known)| *known == space);
        let id = match known {
            Some((id, _)) => id,
            None => writer.add_space(&space)?,
        };
        let dimension = space.dimension as usize;
        self.spaces.insert(number, ImportedSpace { id, dimension, array: None });
        Ok(())
    }

    fn store_image(
        &mut self,
        writer: &mut Writer<'_>,
        number: u64,
        line: ImageLine,
        decisions: &mut Vec<JournalEntry>,
    ) -> Result<(), StoreError> {
        let id = writer.put_image(&line.image)?;
        for place in line.places {
            let present =
                if place.missing { LocationState::Missing } else { LocationState::Present };
            let record = LocationRecord { state: present(id), stamp: place.stamp };
            writer.put_location(&place.path.into(), &record)?;
        }
        if let Some(label) = line.label {
            let (image, label) = (line.image.hash, Some(label));
            decisions.push(JournalEntry::Label(LabelEntry { image, label }));
        }
        writer.put_prediction(id, line.prediction.as_ref())?;
        if let Some(line) = line.fingerprint {
            let found =
                line.read().ok_or_else(|| self.refuse(number, "its fingerprint is damaged"))?;
            writer.put_fingerprint(id, &found)?;
        }
        for objects in line.objects {
            let (mut detections, mut embeddings) = (Vec::new(), Vec::new());
            for object in objects.found.into_iter().take(OBJECTS_MAX) {
                let (_, components) = self.components(number, objects.space, object.components)?;
                let bounds = object.detection.bounds;
                let edges = [bounds.left_px, bounds.top_px, bounds.right_px, bounds.bottom_px];
                if !edges.iter().chain([&object.detection.score]).all(|value| value.is_finite()) {
                    return Err(self.refuse(number, "a number of an object is out of range"));
                }
                embeddings.push(components);
                detections.push(object.detection);
            }
            let space = self.space(number, objects.space)?.id;
            self.report.objects += detections.len() as u64;
            writer.put_found(space, id, &detections, &embeddings)?;
        }
        for embedding in line.embeddings {
            let (space, components) =
                self.components(number, embedding.space, embedding.components)?;
            writer.put_components(space, id, &components)?;
            self.report.embeddings += 1;
        }
        self.report.images += 1;
        Ok(())
    }

    /// What is known of a space of the export.
    fn space(&mut self, line: u64, number: u16) -> Result<&mut ImportedSpace, StoreError> {
        let unknown = self.refuse(line, format!("no line before it describes space {number}"));
        self.spaces.get_mut(&number).ok_or(unknown)
    }

    fn components(
        &mut self,
        line: u64,
        number: u16,
        components: Components,
    ) -> Result<(SpaceId, Vec<u8>), StoreError> {
        let path = array_path(self.folder, SpaceId(number));
        let space = self.space(line, number)?;
        let (id, dimension) = (space.id, space.dimension);
        let found = match components {
            Components::Values(values) => {
                values.into_iter().flat_map(|value| f16::from_f32(value).to_le_bytes()).collect()
            }
            Components::Row(row) => {
                let rows = match &mut space.array {
                    Some(rows) => rows,
                    None => space.array.insert(Rows::open(&path, line)?),
                };
                rows.read(row, line)?
            }
        };
        let embedding = Embedding::from_f16_bytes(&found);
        match embedding {
            Ok(embedding) if embedding.dimension() == dimension => Ok((id, found)),
            Ok(embedding) => {
                let found = embedding.dimension();
                let reason = format!("its embedding has {found} components, expected {dimension}");
                Err(self.refuse(line, reason))
            }
            Err(error) => Err(self.refuse(line, error)),
        }
    }
}

/// The rows of an array of numpy.
struct Rows {
    path: PathBuf,
    file: BufReader<File>,
    start: u64,
    shape: Shape,
}

impl Rows {
    fn open(path: &Path, line: u64) -> Result<Self, StoreError> {
        let io = |error| StoreError::io("read", path)(error);
        let mut file = BufReader::new(File::open(path).map_err(io)?);
        let Some(shape) = npy::read_header(&mut file).map_err(io)? else {
            let reason = "expected a matrix of 16-bit floats".to_owned();
            return Err(StoreError::Import { path: path.to_owned(), line, reason });
        };
        let start = file.stream_position().map_err(io)?;
        Ok(Self { path: path.to_owned(), file, start, shape })
    }

    fn read(&mut self, row: u64, line: u64) -> Result<Vec<u8>, StoreError> {
        // Far above every network: bounds what a wrong header can ask for.
        let columns = self.shape.columns.min(1 << 16);
        if row >= self.shape.rows {
            let reason = format!("there is no row {row}");
            return Err(StoreError::Import { path: self.path.clone(), line, reason });
        }
        let mut bytes = vec![0; columns as usize * 2];
        let mut read = || -> std::io::Result<()> {
            let at = self.start.saturating_add(row.saturating_mul(columns * 2));
            let here = self.file.stream_position()?;
            // Rows are mostly in order: what is in the buffer stays.
            if here != at {
                self.file.seek(SeekFrom::Start(at))?;
            }
            self.file.read_exact(&mut bytes)
        };
        read().map_err(StoreError::io("read", &self.path))?;
        Ok(bytes)
    }
}
