//! `export --format parquet`: a table of images for each network, and one of objects for each detector.

use std::path::{Path, PathBuf};

use half::f16;

use super::exchange::ExchangeReport;
use super::parquet::{Field, Kind, Values, Writer};
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
    /// [`StoreError::Value`] when a record is damaged; [`StoreError::Io`].
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
        let mut table = Table::create(path, space, &IMAGE_FIELDS)?;
        let mut labels = 0;
        for image in self.embedded_images(id) {
            let image = image?;
            let Some(record) = self.image(image)? else { continue };
            let components = self.components(id, image)?.unwrap_or_default();
            let row = self.image_row(image, &record)?;
            labels += u64::from(matches!(row[LABEL], Cell::Text(Some(_))));
            table.add(row, &components)?;
            on_rows(table.rows);
        }
        Ok(Written { rows: table.finish(space)?, labels })
    }

    fn export_objects(&self, id: SpaceId, space: &Space, path: PathBuf) -> Result<u64, StoreError> {
        let mut table = Table::create(path, space, &OBJECT_FIELDS)?;
        for entry in self.all_detections(id) {
            let (image, detections) = entry?;
            let Some(record) = self.image(image)? else { continue };
            for (detection, number) in detections.iter().zip(0..) {
                let key = keys::object(id, image, number);
                let components = self.payload(&key)?.ok_or_else(|| codec::damaged(&key))?;
                table.add(object_row(image, &record, number, detection), &components)?;
            }
        }
        table.finish(space)
    }

    fn image_row(&self, id: ImageId, record: &ImageRecord) -> Result<Vec<Cell>, StoreError> {
        let mut path = None;
        for location in self.locations_of(id)? {
            let found = self.location(&location)?;
            if found.is_some_and(|found| matches!(found.state, LocationState::Present(_))) {
                path = Some(String::from_utf8_lossy(location.as_bytes()).into_owned());
                break;
            }
        }
        let position = record.position;
        Ok(vec![
            Cell::Integer(id.0 as i64),
            Cell::Text(Some(record.hash.to_string())),
            Cell::Text(path),
            Cell::Integer(record.width_px.into()),
            Cell::Integer(record.height_px.into()),
            Cell::Integer(record.size_bytes as i64),
            Cell::Text(Some(record.format.clone())),
            Cell::Text(record.captured_at.clone()),
            Cell::Text(record.camera.clone()),
            Cell::Double(position.map(|position| position.latitude)),
            Cell::Double(position.map(|position| position.longitude)),
            Cell::Text(self.label_of(&record.hash)?),
            Cell::Text(self.prediction(id)?.map(|prediction| prediction.label)),
        ])
    }
}

/// What was written to a table of images.
struct Written {
    rows: u64,
    labels: u64,
}

const IMAGE_FIELDS: [Field; 13] = [
    ("image", Kind::Integer),
    ("hash", Kind::Text),
    ("path", Kind::Text),
    ("width_px", Kind::Integer),
    ("height_px", Kind::Integer),
    ("size_bytes", Kind::Integer),
    ("format", Kind::Text),
    ("captured_at", Kind::Text),
    ("camera", Kind::Text),
    ("latitude", Kind::Double),
    ("longitude", Kind::Double),
    ("label", Kind::Text),
    ("predicted", Kind::Text),
];

/// The place of the label among the fields of an image.
const LABEL: usize = 11;

const OBJECT_FIELDS: [Field; 9] = [
    ("image", Kind::Integer),
    ("hash", Kind::Text),
    ("object", Kind::Integer),
    ("class", Kind::Integer),
    ("score", Kind::Float),
    ("left_px", Kind::Float),
    ("top_px", Kind::Float),
    ("right_px", Kind::Float),
    ("bottom_px", Kind::Float),
];

fn object_row(
    image: ImageId,
    record: &ImageRecord,
    number: u16,
    detection: &Detection,
) -> Vec<Cell> {
    let bounds = detection.bounds;
    let mut row = vec![
        Cell::Integer(image.0 as i64),
        Cell::Text(Some(record.hash.to_string())),
        // As `lookalike detect` counts them.
        Cell::Integer(i64::from(number) + 1),
        Cell::Integer(detection.class.0.into()),
    ];
    let edges = [bounds.left_px, bounds.top_px, bounds.right_px, bounds.bottom_px];
    row.extend([detection.score].into_iter().chain(edges).map(Cell::Float));
    row
}

/// One value of a row.
enum Cell {
    Integer(i64),
    Float(f32),
    Double(Option<f64>),
    Text(Option<String>),
}

/// Rows on their way into a file, the embedding last.
struct Table {
    writer: Writer,
    columns: Vec<Values>,
    waiting: usize,
    rows: u64,
}

impl Table {
    fn create(path: PathBuf, space: &Space, fields: &[Field]) -> Result<Self, StoreError> {
        let mut fields = fields.to_vec();
        fields.push(("embedding", Kind::Vector(space.dimension)));
        let columns = fields.iter().map(|(_, kind)| Values::none_of(*kind)).collect();
        Ok(Self { writer: Writer::create(&path, &fields)?, columns, waiting: 0, rows: 0 })
    }

    fn add(&mut self, row: Vec<Cell>, components: &[u8]) -> Result<(), StoreError> {
        let (pairs, _) = components.as_chunks::<2>();
        for (column, cell) in self.columns.iter_mut().zip(row) {
            match (column, cell) {
                (Values::Integer(values), Cell::Integer(value)) => values.push(value),
                (Values::Float(values), Cell::Float(value)) => values.push(value),
                (Values::Double(values), Cell::Double(value)) => values.push(value),
                (Values::Text(values), Cell::Text(value)) => values.push(value),
                _ => unreachable!("rows have the kinds of their fields"),
            }
        }
        if let Some(Values::Vector(values)) = self.columns.last_mut() {
            values.extend(pairs.iter().map(|pair| f16::from_le_bytes(*pair).to_f32()));
        }
        self.waiting += 1;
        self.rows += 1;
        if self.waiting == GROUP_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), StoreError> {
        if self.waiting > 0 {
            self.writer.group(self.waiting, &self.columns)?;
            self.columns.iter_mut().for_each(Values::clear);
            self.waiting = 0;
        }
        Ok(())
    }

    /// Ends the file, with what its embeddings are, and gives the number of rows.
    fn finish(mut self, space: &Space) -> Result<u64, StoreError> {
        self.write()?;
        self.writer.finish(&[
            ("model", &space.model),
            ("weights_digest", &space.weights_digest),
            ("preprocessing", &space.preprocessing),
        ])?;
        Ok(self.rows)
    }
}
