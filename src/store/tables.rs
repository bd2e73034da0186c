//! `export --format parquet`: a table of images for each network, and one of objects for each detector.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::{
    ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use half::f16;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;

use super::exchange::ExchangeReport;
use super::{Store, StoreError, codec, keys};
use crate::record::{Detection, ImageId, ImageRecord, LocationState, Space, SpaceId};

/// Rows in memory at a time: 10 MB of embeddings.
const GROUP_ROWS: usize = 2_000;

impl Store {
    /// Writes `images-<space>.parquet` for each space of whole images and `objects-<space>.parquet`
    /// for each of objects into a folder that is there; embeddings are lists of one length of 32-bit
    /// floats. `on_image` hears how many rows were written, and of how many images there are.
    ///
    /// # Errors
    /// [`StoreError::Value`] when a record is damaged; [`StoreError::Io`], [`StoreError::Table`].
    pub(super) fn export_tables(
        &self,
        folder: &Path,
        on_image: &dyn Fn(u64, u64),
    ) -> Result<ExchangeReport, StoreError> {
        let images = self.manifest().counts.images;
        let mut report = ExchangeReport { images, ..ExchangeReport::default() };
        for (id, space) in self.spaces()? {
            let path = |kind: &str| folder.join(format!("{kind}-{}.parquet", id.0));
            if space.is_content() {
                let written = self.export_images(id, &space, path("images"), &|rows| {
                    on_image(rows, images);
                })?;
                report.embeddings += written.rows;
                report.labels = report.labels.max(written.labels);
            } else {
                report.objects += self.export_objects(id, &space, path("objects"))?;
            }
        }
        Ok(report)
    }

    fn export_images(
        &self,
        id: SpaceId,
        space: &Space,
        path: PathBuf,
        on_rows: &dyn Fn(u64),
    ) -> Result<Written, StoreError> {
        let mut table = Table::create(path, space, &IMAGE_FIELDS, image_columns)?;
        let mut labels = 0;
        for image in self.embedded_images(id) {
            let image = image?;
            let Some(record) = self.image(image)? else { continue };
            let components = self.components(id, image)?.unwrap_or_default();
            let row = self.image_row(image, record)?;
            labels += u64::from(row.label.is_some());
            table.add(row, &components)?;
            on_rows(table.rows_in_all);
        }
        Ok(Written { rows: table.finish()?, labels })
    }

    fn export_objects(&self, id: SpaceId, space: &Space, path: PathBuf) -> Result<u64, StoreError> {
        let mut table = Table::create(path, space, &OBJECT_FIELDS, object_columns)?;
        for entry in self.all_detections(id) {
            let (image, detections) = entry?;
            let Some(record) = self.image(image)? else { continue };
            let hash = record.hash.to_string();
            for (detection, number) in detections.into_iter().zip(0..) {
                let key = keys::object(id, image, number);
                let components = self.payload(&key)?.ok_or_else(|| codec::damaged(&key))?;
                let row = ObjectRow { image, hash: hash.clone(), number, detection };
                table.add(row, &components)?;
            }
        }
        table.finish()
    }

    fn image_row(&self, id: ImageId, record: ImageRecord) -> Result<ImageRow, StoreError> {
        let mut path = None;
        for location in self.locations_of(id)? {
            let found = self.location(&location)?;
            if found.is_some_and(|found| matches!(found.state, LocationState::Present(_))) {
                path = Some(location.to_string());
                break;
            }
        }
        let label = self.label_of(&record.hash)?;
        let predicted = self.prediction(id)?.map(|prediction| prediction.label);
        Ok(ImageRow { id, record, path, label, predicted })
    }
}

/// What was written to a table of images.
struct Written {
    rows: u64,
    labels: u64,
}

/// A column's name, what it holds, and whether that may be missing.
type Column = (&'static str, DataType, bool);

const IMAGE_FIELDS: [Column; 13] = [
    ("image", DataType::Int64, false),
    ("hash", DataType::Utf8, false),
    ("path", DataType::Utf8, true),
    ("width_px", DataType::Int64, false),
    ("height_px", DataType::Int64, false),
    ("size_bytes", DataType::Int64, false),
    ("format", DataType::Utf8, false),
    ("captured_at", DataType::Utf8, true),
    ("camera", DataType::Utf8, true),
    ("latitude", DataType::Float64, true),
    ("longitude", DataType::Float64, true),
    ("label", DataType::Utf8, true),
    ("predicted", DataType::Utf8, true),
];

struct ImageRow {
    id: ImageId,
    record: ImageRecord,
    path: Option<String>,
    label: Option<String>,
    predicted: Option<String>,
}

/// The columns of [`IMAGE_FIELDS`].
fn image_columns(rows: &[ImageRow]) -> Vec<ArrayRef> {
    let position = |row: &ImageRow| row.record.position;
    vec![
        integers(rows, |row| row.id.0 as i64),
        texts(rows, |row| Some(row.record.hash.to_string())),
        texts(rows, |row| row.path.clone()),
        integers(rows, |row| row.record.width_px.into()),
        integers(rows, |row| row.record.height_px.into()),
        integers(rows, |row| row.record.size_bytes as i64),
        texts(rows, |row| Some(row.record.format.clone())),
        texts(rows, |row| row.record.captured_at.clone()),
        texts(rows, |row| row.record.camera.clone()),
        doubles(rows, |row| position(row).map(|position| position.latitude)),
        doubles(rows, |row| position(row).map(|position| position.longitude)),
        texts(rows, |row| row.label.clone()),
        texts(rows, |row| row.predicted.clone()),
    ]
}

const OBJECT_FIELDS: [Column; 9] = [
    ("image", DataType::Int64, false),
    ("hash", DataType::Utf8, false),
    ("object", DataType::Int64, false),
    ("class", DataType::Int64, false),
    ("score", DataType::Float32, false),
    ("left_px", DataType::Float32, false),
    ("top_px", DataType::Float32, false),
    ("right_px", DataType::Float32, false),
    ("bottom_px", DataType::Float32, false),
];

struct ObjectRow {
    image: ImageId,
    hash: String,
    number: u16,
    detection: Detection,
}

/// The columns of [`OBJECT_FIELDS`].
fn object_columns(rows: &[ObjectRow]) -> Vec<ArrayRef> {
    vec![
        integers(rows, |row| row.image.0 as i64),
        texts(rows, |row| Some(row.hash.clone())),
        // As `lookalike detect` counts them.
        integers(rows, |row| i64::from(row.number) + 1),
        integers(rows, |row| row.detection.class.0.into()),
        floats(rows, |row| row.detection.score),
        floats(rows, |row| row.detection.bounds.left_px),
        floats(rows, |row| row.detection.bounds.top_px),
        floats(rows, |row| row.detection.bounds.right_px),
        floats(rows, |row| row.detection.bounds.bottom_px),
    ]
}

fn integers<R>(rows: &[R], value: impl Fn(&R) -> i64) -> ArrayRef {
    Arc::new(Int64Array::from_iter_values(rows.iter().map(value)))
}

fn floats<R>(rows: &[R], value: impl Fn(&R) -> f32) -> ArrayRef {
    Arc::new(Float32Array::from_iter_values(rows.iter().map(value)))
}

fn doubles<R>(rows: &[R], value: impl Fn(&R) -> Option<f64>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<Float64Array>())
}

fn texts<R>(rows: &[R], value: impl Fn(&R) -> Option<String>) -> ArrayRef {
    Arc::new(rows.iter().map(value).collect::<StringArray>())
}

/// Rows on their way into a file, the embedding last.
struct Table<R> {
    path: PathBuf,
    writer: ArrowWriter<File>,
    schema: SchemaRef,
    columns: fn(&[R]) -> Vec<ArrayRef>,
    dimension: i32,
    waiting: Vec<R>,
    /// The embeddings of the waiting rows, one after the other.
    components: Vec<f32>,
    rows_in_all: u64,
}

impl<R> Table<R> {
    /// Makes a file that is not there yet, with what its embeddings are.
    fn create(
        path: PathBuf,
        space: &Space,
        fields: &[Column],
        columns: fn(&[R]) -> Vec<ArrayRef>,
    ) -> Result<Self, StoreError> {
        let dimension = space.dimension as i32;
        let fields =
            fields.iter().map(|(name, kind, may_miss)| Field::new(*name, kind.clone(), *may_miss));
        let embedding = DataType::FixedSizeList(element(), dimension);
        let embedding = Field::new("embedding", embedding, false);
        let schema = Arc::new(Schema::new(fields.chain([embedding]).collect::<Vec<_>>()));
        let known = [
            ("model", &space.model),
            ("weights_digest", &space.weights_digest),
            ("preprocessing", &space.preprocessing),
        ];
        let known = known.map(|(name, value)| KeyValue::new(name.to_owned(), value.clone()));
        let properties = WriterProperties::builder()
            // Embeddings hardly repeat, and hardly get smaller.
            .set_dictionary_enabled(false)
            .set_key_value_metadata(Some(known.to_vec()))
            .build();
        let file = File::create_new(&path).map_err(StoreError::io("create", &path))?;
        let writer = ArrowWriter::try_new(file, Arc::clone(&schema), Some(properties));
        let writer = writer.map_err(failed(&path))?;
        let (waiting, components) = (Vec::new(), Vec::new());
        Ok(Self { path, writer, schema, columns, dimension, waiting, components, rows_in_all: 0 })
    }

    fn add(&mut self, row: R, components: &[u8]) -> Result<(), StoreError> {
        let (pairs, _) = components.as_chunks::<2>();
        self.components.extend(pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()));
        self.waiting.push(row);
        self.rows_in_all += 1;
        if self.waiting.len() == GROUP_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        let components = Arc::new(Float32Array::from(std::mem::take(&mut self.components)));
        let embeddings = FixedSizeListArray::try_new(element(), self.dimension, components, None);
        let batch = embeddings.and_then(|embeddings| {
            let mut columns = (self.columns)(&self.waiting);
            columns.push(Arc::new(embeddings));
            RecordBatch::try_new(Arc::clone(&self.schema), columns)
        });
        self.waiting.clear();
        let written = batch.map_err(ParquetError::from).and_then(|batch| {
            self.writer.write(&batch)?;
            self.writer.flush()
        });
        written.map_err(failed(&self.path))
    }

    /// Ends the file and gives the number of rows.
    fn finish(mut self) -> Result<u64, StoreError> {
        if !self.waiting.is_empty() {
            self.write()?;
        }
        self.writer.close().map_err(failed(&self.path))?;
        Ok(self.rows_in_all)
    }
}

/// What an embedding is a list of.
fn element() -> Arc<Field> {
    Arc::new(Field::new("element", DataType::Float32, false))
}

fn failed(path: &Path) -> impl FnOnce(ParquetError) -> StoreError {
    move |source| StoreError::Table { path: path.to_owned(), source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ContentHash, FileStamp, Location, LocationRecord, Position};
    use crate::vector::Embedding;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Float64Type, Int64Type};
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

    fn space() -> Space {
        Space {
            name: "content".to_owned(),
            model: "a model".to_owned(),
            weights_digest: "ab".to_owned(),
            preprocessing: "none".to_owned(),
            dimension: 2,
        }
    }

    fn record(number: u64) -> ImageRecord {
        ImageRecord {
            hash: ContentHash::of(&number.to_le_bytes()),
            width_px: 3,
            height_px: 2,
            size_bytes: number,
            format: "PNG".to_owned(),
            orientation: 1,
            captured_at: None,
            camera: Some("a camera".to_owned()),
            classes: Vec::new(),
            position: Position::new(number as f64, 2.0).filter(|_| number == 1),
        }
    }

    #[test]
    fn tables_are_read_as_they_were_written_over_several_groups() {
        const IMAGES: u64 = GROUP_ROWS as u64 + 3;
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("db")).unwrap();
        store
            .write(|writer| -> Result<(), StoreError> {
                let id = writer.add_space(&space())?;
                for number in 0..IMAGES {
                    let image = writer.put_image(&record(number))?;
                    let angle = number as f32;
                    let embedding = Embedding::normalize(vec![angle.cos(), angle.sin()]).unwrap();
                    writer.put_embedding(id, image, &embedding)?;
                    let location = Location::from_bytes(format!("{number}.png").into_bytes());
                    let stamp = FileStamp { size_bytes: 1, modified_ns: 1 };
                    let state = match number {
                        2 => LocationState::Missing(image),
                        _ => LocationState::Present(image),
                    };
                    writer.put_location(&location, &LocationRecord { state, stamp })?;
                }
                Ok(())
            })
            .unwrap();
        let report = store.export_tables(folder.path(), &|_, _| ()).unwrap();
        assert_eq!((report.embeddings, report.labels), (IMAGES, 0));

        let file = File::open(folder.path().join("images-1.parquet")).unwrap();
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
        let metadata = builder.metadata().file_metadata().key_value_metadata().unwrap().clone();
        let named =
            |name: &str| metadata.iter().find(|pair| pair.key == name).unwrap().value.clone();
        assert_eq!(named("model").as_deref(), Some("a model"));
        let batches: Vec<RecordBatch> =
            builder.with_batch_size(10_000).build().unwrap().map(Result::unwrap).collect();
        let batch = &batches[0];
        assert_eq!(batch.num_rows() as u64, IMAGES);
        let column = |name: &str| batch.column_by_name(name).unwrap();
        let sizes = column("size_bytes").as_primitive::<Int64Type>();
        assert!(sizes.values().iter().copied().eq(0..IMAGES as i64));
        let paths = column("path").as_string::<i32>();
        assert!(paths.value(1) == "1.png" && paths.is_null(2) && paths.null_count() == 1);
        let latitudes = column("latitude").as_primitive::<Float64Type>();
        assert_eq!((latitudes.value(1), latitudes.null_count() as u64), (1.0, IMAGES - 1));
        assert_eq!(column("label").null_count() as u64, IMAGES);
        let embeddings = column("embedding").as_fixed_size_list();
        for row in [0, 1, GROUP_ROWS, GROUP_ROWS + 2] {
            let found = embeddings.value(row);
            let image = ImageId(row as u64 + 1);
            let stored = store.components(SpaceId(1), image).unwrap().unwrap();
            let (halves, _) = stored.as_chunks::<2>();
            let stored: Vec<f32> =
                halves.iter().map(|half| f16::from_le_bytes(*half).to_f32()).collect();
            assert_eq!(found.as_primitive::<Float32Type>().values()[..], stored[..]);
        }
        assert!(store.export_tables(folder.path(), &|_, _| ()).is_err(), "never overwrites");
    }
}
