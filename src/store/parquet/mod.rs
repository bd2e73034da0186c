//! The file format Parquet, as much of it as a table of images with embeddings needs: written, not read.
//!
//! Columns are plain and uncompressed, for embeddings hardly get smaller. The crate `parquet` would bring
//! some thirty others with it. The layout is that of the specification of Apache Parquet 2
//! (parquet.thrift); the schema of Arrow beside it (`arrow`) makes embeddings lists of one length.

mod arrow;
mod thrift;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use super::StoreError;
use thrift::Struct;

const MAGIC: &[u8] = b"PAR1";

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// 64-bit integers.
    Integer,
    /// 32-bit floats.
    Float,
    /// 64-bit floats, or nothing.
    Double,
    /// Text, or nothing.
    Text,
    /// As many 32-bit floats in each row.
    Vector(u32),
}

/// The values of one column, a row each.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Values {
    Integer(Vec<i64>),
    Float(Vec<f32>),
    Double(Vec<Option<f64>>),
    Text(Vec<Option<String>>),
    /// Row after row.
    Vector(Vec<f32>),
}

impl Values {
    /// A column of a kind, without a value.
    pub(super) fn none_of(kind: Kind) -> Self {
        match kind {
            Kind::Integer => Self::Integer(Vec::new()),
            Kind::Float => Self::Float(Vec::new()),
            Kind::Double => Self::Double(Vec::new()),
            Kind::Text => Self::Text(Vec::new()),
            Kind::Vector(_) => Self::Vector(Vec::new()),
        }
    }

    /// Takes all values away.
    pub(super) fn clear(&mut self) {
        match self {
            Self::Integer(values) => values.clear(),
            Self::Float(values) | Self::Vector(values) => values.clear(),
            Self::Double(values) => values.clear(),
            Self::Text(values) => values.clear(),
        }
    }
}

/// A column's name and what it holds.
pub(super) type Field = (&'static str, Kind);

/// A file that rows are written to, a group of them at a time.
pub(super) struct Writer {
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    fields: Vec<Field>,
    groups: Vec<Struct>,
    rows: u64,
}

impl Writer {
    /// Makes a file that is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn create(path: &Path, fields: &[Field]) -> Result<Self, StoreError> {
        let file = File::create_new(path).map_err(StoreError::io("create", path))?;
        let mut writer = Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            written: 0,
            fields: fields.to_vec(),
            groups: Vec::new(),
            rows: 0,
        };
        writer.put(MAGIC)?;
        Ok(writer)
    }

    /// Writes some rows: for each field its values, as many in each.
    ///
    /// # Panics
    /// When there are not as many columns as fields, or they are of another kind.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn group(&mut self, rows: usize, columns: &[Values]) -> Result<(), StoreError> {
        assert_eq!(columns.len(), self.fields.len(), "each field has its values");
        let (start, mut chunks) = (self.written, Vec::new());
        for ((name, kind), values) in self.fields.clone().into_iter().zip(columns) {
            let page = Page::of(rows, kind, values);
            let offset = self.written;
            let header = page.header();
            self.put(&header)?;
            self.put(&page.bytes)?;
            let size = (self.written - offset) as i64;
            let path =
                if let Kind::Vector(_) = kind { vec![name, "list", "element"] } else { vec![name] };
            let metadata = Struct::new()
                .i32(1, kind.physical())
                .i32s(2, &[PLAIN, RLE])
                .texts(3, &path)
                .i32(4, UNCOMPRESSED)
                .i64(5, page.values as i64)
                .i64(6, size)
                .i64(7, size)
                .i64(9, offset as i64);
            chunks.push(Struct::new().i64(2, offset as i64).structure(3, metadata));
        }
        let bytes = (self.written - start) as i64;
        self.groups.push(Struct::new().structures(1, chunks).i64(2, bytes).i64(3, rows as i64));
        self.rows += rows as u64;
        Ok(())
    }

    /// Writes what describes the rows, with some names and values of the caller's, and ends the file.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub(super) fn finish(mut self, metadata: &[(&str, &str)]) -> Result<(), StoreError> {
        let mut schema = vec![Struct::new().text(4, "schema").i32(5, self.fields.len() as i32)];
        schema.extend(self.fields.iter().flat_map(|(name, kind)| kind.schema(name)));
        let arrow = ("ARROW:schema", &*arrow::schema(&self.fields));
        let metadata = metadata.iter().chain([&arrow]);
        let metadata = metadata.map(|(name, value)| Struct::new().text(1, name).text(2, value));
        let footer = Struct::new()
            .i32(1, 2)
            .structures(2, schema)
            .i64(3, self.rows as i64)
            .structures(4, std::mem::take(&mut self.groups))
            .structures(5, metadata.collect())
            .text(6, concat!("lookalike version ", env!("CARGO_PKG_VERSION")))
            .finish();
        self.put(&footer)?;
        self.put(&(footer.len() as u32).to_le_bytes())?;
        self.put(MAGIC)?;
        self.file.flush().map_err(StoreError::io("write", &self.path))
    }

    fn put(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.file.write_all(bytes).map_err(StoreError::io("write", &self.path))?;
        self.written += bytes.len() as u64;
        Ok(())
    }
}

const PLAIN: i32 = 0;
const RLE: i32 = 3;
const UNCOMPRESSED: i32 = 0;
const REQUIRED: i32 = 0;
const OPTIONAL: i32 = 1;
const REPEATED: i32 = 2;
const UTF8: i32 = 0;
const LIST: i32 = 3;

impl Kind {
    /// The number of the physical type.
    fn physical(self) -> i32 {
        match self {
            Self::Integer => 2,
            Self::Float | Self::Vector(_) => 4,
            Self::Double => 5,
            Self::Text => 6,
        }
    }

    /// The elements of the schema for a column.
    fn schema(self, name: &str) -> Vec<Struct> {
        let leaf = |repetition, name: &str| {
            Struct::new().i32(1, self.physical()).i32(3, repetition).text(4, name)
        };
        let group =
            |repetition, name: &str| Struct::new().i32(3, repetition).text(4, name).i32(5, 1);
        match self {
            Self::Integer | Self::Float => vec![leaf(REQUIRED, name)],
            Self::Double => vec![leaf(OPTIONAL, name)],
            Self::Text => vec![leaf(OPTIONAL, name).i32(6, UTF8)],
            Self::Vector(_) => vec![
                group(REQUIRED, name).i32(6, LIST),
                group(REPEATED, "list"),
                leaf(REQUIRED, "element"),
            ],
        }
    }
}

/// The values of a column in a group, as the file has them.
struct Page {
    /// Values, absent ones too.
    values: usize,
    bytes: Vec<u8>,
}

impl Page {
    fn of(rows: usize, kind: Kind, values: &Values) -> Self {
        let mut bytes = Vec::new();
        let count = match (kind, values) {
            (Kind::Integer, Values::Integer(values)) => {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                values.len()
            }
            (Kind::Float, Values::Float(values)) => {
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                values.len()
            }
            (Kind::Double, Values::Double(values)) => {
                levels(&mut bytes, values.iter().map(|value| (1, u8::from(value.is_some()))));
                bytes.extend(values.iter().flatten().flat_map(|value| value.to_le_bytes()));
                values.len()
            }
            (Kind::Text, Values::Text(values)) => {
                levels(&mut bytes, values.iter().map(|value| (1, u8::from(value.is_some()))));
                for text in values.iter().flatten() {
                    bytes.extend((text.len() as u32).to_le_bytes());
                    bytes.extend(text.as_bytes());
                }
                values.len()
            }
            (Kind::Vector(dimension), Values::Vector(values)) => {
                let dimension = dimension as usize;
                assert_eq!(values.len(), rows * dimension, "a vector a row");
                // The first value of each row begins a list, the others go on with it.
                levels(&mut bytes, (0..rows).flat_map(|_| [(1, 0), (dimension - 1, 1)]));
                levels(&mut bytes, [(values.len(), 1)].into_iter());
                bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
                return Self { values: values.len(), bytes };
            }
            _ => panic!("the values of a column are of its kind"),
        };
        assert_eq!(count, rows, "a value a row");
        Self { values: count, bytes }
    }

    fn header(&self) -> Vec<u8> {
        let size = self.bytes.len() as i32;
        let data = Struct::new().i32(1, self.values as i32).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
        Struct::new().i32(1, 0).i32(2, size).i32(3, size).structure(5, data).finish()
    }
}

/// Writes levels of 0 and 1, given as runs: their length, then a count and the level for each.
fn levels(bytes: &mut Vec<u8>, runs: impl Iterator<Item = (usize, u8)>) {
    let mut written = Vec::new();
    let mut last: Option<(usize, u8)> = None;
    let mut put = |(count, level): (usize, u8)| {
        thrift::varint(&mut written, (count as u64) << 1);
        written.push(level);
    };
    for (count, level) in runs.filter(|(count, _)| *count > 0) {
        match &mut last {
            Some((before, same)) if *same == level => *before += count,
            _ => {
                last.replace((count, level)).into_iter().for_each(&mut put);
            }
        }
    }
    last.into_iter().for_each(put);
    bytes.extend((written.len() as u32).to_le_bytes());
    bytes.extend(written);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_levels_are_one_run() {
        let mut bytes = Vec::new();
        levels(&mut bytes, [(1, 1), (2, 1), (0, 0), (1, 0), (100, 1)].into_iter());
        // 3 times 1, once 0, 100 times 1: counts are doubled, above 63 in two bytes.
        assert_eq!(bytes, [7, 0, 0, 0, 6, 1, 2, 0, 0xC8, 1, 1]);
    }

    #[test]
    fn a_file_begins_and_ends_as_it_must_and_holds_the_values() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table");
        let fields = [("name", Kind::Text), ("embedding", Kind::Vector(3))];
        let mut writer = Writer::create(&path, &fields).unwrap();
        let names = Values::Text(vec![Some("a".to_owned()), None]);
        let vectors = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
        writer.group(2, &[names, Values::Vector(vectors.to_vec())]).unwrap();
        writer.finish(&[("key", "value")]).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        assert!(bytes.starts_with(MAGIC) && bytes.ends_with(MAGIC));
        let plain: Vec<u8> = vectors.iter().flat_map(|value| value.to_le_bytes()).collect();
        assert!(bytes.windows(plain.len()).any(|window| window == plain));
        let (length, _) = bytes[bytes.len() - 8..].split_first_chunk::<4>().unwrap();
        assert!((u32::from_le_bytes(*length) as usize) < bytes.len() - 12);
        assert!(Writer::create(&path, &fields).is_err(), "never overwrites");
    }
}
