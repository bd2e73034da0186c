//! `export`: the content of the store for other programs.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use half::f16;

use super::exchange::{
    Components, EmbeddingLine, ExchangeReport, ExportFormat, FingerprintLine, ImageLine, Line,
    ObjectLine, ObjectsLine, Place, array_path, lines_path,
};
use super::keys;
use super::npy::{self, Shape};
use super::{Store, StoreError};
use crate::record::{ImageId, LocationState, Space, SpaceId};

/// Where the components of one space go: into the line of their image, or into an array.
struct Column<'a> {
    space: SpaceId,
    folder: &'a Path,
    array: Option<Array>,
}

/// The rows of one space on their way into an array.
struct Array {
    file: BufWriter<File>,
    rows: u64,
}

impl Store {
    /// Writes images, files, labels, embeddings and objects into a folder that is not there yet or
    /// empty.
    ///
    /// `images.jsonl` has a line for each; with [`ExportFormat::Npy`] the embeddings are rows of
    /// `embeddings-<space>.npy`; [`ExportFormat::Parquet`] makes tables instead. `on_image` hears how
    /// many images were written, and of how many.
    /// Not exported: the forest, which is trained again in seconds.
    ///
    /// # Errors
    /// [`StoreError::Occupied`]; [`StoreError::Value`] when a record is damaged;
    /// [`StoreError::Io`].
    pub fn export(
        &self,
        folder: &Path,
        format: ExportFormat,
        on_image: &dyn Fn(u64, u64),
    ) -> Result<ExchangeReport, StoreError> {
        super::backup::refuse_occupied(folder, "name a folder that is not there yet")?;
        std::fs::create_dir_all(folder).map_err(StoreError::io("create", folder))?;
        if format == ExportFormat::Parquet {
            return self.export_tables(folder, on_image);
        }
        let path = lines_path(folder);
        let mut out = Lines { file: create(&path)?, path: &path };
        let mut report = ExchangeReport::default();
        let mut columns = Vec::new();
        for (id, space) in self.spaces()? {
            let is_empty = self.embedded_images(id).next().is_none();
            if is_empty && self.all_detections(id).next().is_none() {
                continue;
            }
            out.line(&Line::Space { number: id.0, space: space.clone() })?;
            let array = match format {
                ExportFormat::Npy => Some(self.array(folder, id, &space)?),
                _ => None,
            };
            columns.push(Column { space: id, folder, array });
        }
        let images = self.manifest().counts.images;
        for entry in self.images() {
            let (id, image) = entry?;
            let label = self.label_of(&image.hash)?;
            let (mut embeddings, mut objects) = (Vec::new(), Vec::new());
            for column in &mut columns {
                let space = column.space;
                if let Some(components) = self.components(space, id)? {
                    let components = column.put(&components)?;
                    embeddings.push(EmbeddingLine { space: space.0, components });
                }
                if let Some(found) = self.found(column, id)? {
                    report.objects += found.len() as u64;
                    objects.push(ObjectsLine { space: space.0, found });
                }
            }
            report.embeddings += embeddings.len() as u64;
            report.labels += u64::from(label.is_some());
            report.images += 1;
            let (places, prediction) = (self.places(id)?, self.prediction(id)?);
            let fingerprint = self.fingerprint(id)?.as_ref().map(FingerprintLine::of);
            let line =
                ImageLine { image, places, label, prediction, embeddings, objects, fingerprint };
            out.line(&Line::Image(Box::new(line)))?;
            on_image(report.images, images);
        }
        report.labels += self.export_rest(&mut out)?;
        for column in columns {
            if let Some(array) = column.array {
                finish(array.file, &array_path(folder, column.space))?;
            }
        }
        finish(out.file, &path)?;
        Ok(report)
    }

    /// Files that could not be read, labels of content that is not here, and decisions.
    fn export_rest(&self, out: &mut Lines<'_>) -> Result<u64, StoreError> {
        for entry in self.locations() {
            let (location, record) = entry?;
            if let LocationState::Failed { reason, reader_version } = record.state {
                let (path, stamp) = ((&location).into(), record.stamp);
                out.line(&Line::Failed { path, reason, reader_version, stamp })?;
            }
        }
        let mut labels = 0;
        for entry in self.labels() {
            let (image, label) = entry?;
            if self.image_id(&image)?.is_none() {
                out.line(&Line::Label { image, label })?;
                labels += 1;
            }
        }
        for entry in self.distinct() {
            out.line(&Line::Distinct { not_same: entry? })?;
        }
        Ok(labels)
    }

    /// The objects of an image in a space; `None` where nobody has looked.
    fn found(
        &self,
        column: &mut Column<'_>,
        id: ImageId,
    ) -> Result<Option<Vec<ObjectLine>>, StoreError> {
        let Some(detections) = self.detections(column.space, id)? else { return Ok(None) };
        let object = |(detection, number)| {
            let key = keys::object(column.space, id, number);
            let components = self.payload(&key)?.ok_or_else(|| super::codec::damaged(&key))?;
            Ok(ObjectLine { detection, components: column.put(&components)? })
        };
        detections.into_iter().zip(0..).map(object).collect::<Result<_, _>>().map(Some)
    }

    fn places(&self, id: ImageId) -> Result<Vec<Place>, StoreError> {
        let mut places = Vec::new();
        for location in self.locations_of(id)? {
            if let Some(record) = self.location(&location)? {
                let missing = matches!(record.state, LocationState::Missing(_));
                places.push(Place { path: (&location).into(), missing, stamp: record.stamp });
            }
        }
        Ok(places)
    }

    fn array(&self, folder: &Path, id: SpaceId, space: &Space) -> Result<Array, StoreError> {
        let path = array_path(folder, id);
        let mut rows = 0;
        for entry in self.embedded_images(id) {
            entry?;
            rows += 1;
        }
        for entry in self.all_detections(id) {
            rows += entry?.1.len() as u64;
        }
        let mut file = create(&path)?;
        let shape = Shape { rows, columns: space.dimension.into() };
        npy::write_header(&mut file, shape).map_err(StoreError::io("write", path))?;
        Ok(Array { file, rows: 0 })
    }
}

impl Column<'_> {
    /// Writes the components of an embedding, or gives them as what the line holds.
    fn put(&mut self, components: &[u8]) -> Result<Components, StoreError> {
        let Some(array) = &mut self.array else {
            return Ok(Components::Values(to_numbers(components)));
        };
        let path = || array_path(self.folder, self.space);
        array.file.write_all(components).map_err(|error| StoreError::io("write", path())(error))?;
        array.rows += 1;
        Ok(Components::Row(array.rows - 1))
    }
}

struct Lines<'a> {
    file: BufWriter<File>,
    path: &'a Path,
}

impl Lines<'_> {
    fn line(&mut self, line: &Line) -> Result<(), StoreError> {
        let mut write = || -> std::io::Result<()> {
            serde_json::to_writer(&mut self.file, line)?;
            self.file.write_all(b"\n")
        };
        write().map_err(StoreError::io("write", self.path))
    }
}

fn create(path: &Path) -> Result<BufWriter<File>, StoreError> {
    Ok(BufWriter::new(File::create_new(path).map_err(StoreError::io("create", path))?))
}

fn finish(mut file: BufWriter<File>, path: &Path) -> Result<(), StoreError> {
    file.flush().map_err(StoreError::io("write", path))
}

/// The stored halves as numbers, which JSON keeps exactly.
fn to_numbers(components: &[u8]) -> Vec<f32> {
    let (pairs, _) = components.as_chunks::<2>();
    pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()).collect()
}
