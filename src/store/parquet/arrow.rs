//! The schema of Arrow that readers look for in a Parquet file: it alone says that embeddings are
//! lists of one length.
//!
//! A message of Arrow's IPC format (Schema.fbs, Message.fbs) in Base64: a buffer of FlatBuffers, which
//! is built from its end to its beginning, as references point forward.

use super::{Field, Kind};

/// The schema of some fields, as the value of `ARROW:schema`.
pub(super) fn schema(fields: &[Field]) -> String {
    let mut buffer = Buffer::default();
    let written: Vec<usize> = fields.iter().map(|field| self::field(&mut buffer, field)).collect();
    let fields = buffer.references(&written);
    let schema = buffer.table(&[(1, Value::Reference(fields))]);
    let message = buffer.table(&[
        (0, Value::I16(VERSION_5)),
        (1, Value::U8(HEADER_SCHEMA)),
        (2, Value::Reference(schema)),
        (3, Value::I64(0)),
    ]);
    let content = buffer.finish(message);
    let mut bytes = vec![0xFF; 4];
    bytes.extend((content.len() as u32).to_le_bytes());
    bytes.extend(content);
    base64(&bytes)
}

const VERSION_5: i16 = 4;
const HEADER_SCHEMA: u8 = 1;
const INT: u8 = 2;
const FLOATING_POINT: u8 = 3;
const UTF8: u8 = 5;
const FIXED_SIZE_LIST: u8 = 16;
const SINGLE: i16 = 1;
const DOUBLE: i16 = 2;

/// Writes a field and gives its place.
fn field(buffer: &mut Buffer, (name, kind): &Field) -> usize {
    let children = match kind {
        Kind::Vector(_) => vec![field(buffer, &("element", Kind::Float))],
        _ => Vec::new(),
    };
    let children = buffer.references(&children);
    let (number, content) = match kind {
        Kind::Integer => (INT, vec![(0, Value::I32(64)), (1, Value::U8(1))]),
        Kind::Float => (FLOATING_POINT, vec![(0, Value::I16(SINGLE))]),
        Kind::Double => (FLOATING_POINT, vec![(0, Value::I16(DOUBLE))]),
        Kind::Text => (UTF8, Vec::new()),
        Kind::Vector(dimension) => (FIXED_SIZE_LIST, vec![(0, Value::I32(*dimension as i32))]),
    };
    let content = buffer.table(&content);
    let name = buffer.text(name);
    let is_nullable = matches!(kind, Kind::Double | Kind::Text);
    buffer.table(&[
        (0, Value::Reference(name)),
        (1, Value::U8(is_nullable.into())),
        (2, Value::U8(number)),
        (3, Value::Reference(content)),
        (5, Value::Reference(children)),
    ])
}

/// The value of a field of a table.
#[derive(Clone, Copy)]
enum Value {
    U8(u8),
    I16(i16),
    I32(i32),
    I64(i64),
    /// To something written before, by its place.
    Reference(usize),
}

/// A buffer of FlatBuffers, its bytes in reverse. The place of something is the number of bytes from
/// its beginning to the end of the buffer.
#[derive(Default)]
struct Buffer {
    reversed: Vec<u8>,
}

impl Buffer {
    fn put(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }

    /// Pads so that after `more` bytes the place is a multiple of `size`.
    fn align(&mut self, size: usize, more: usize) {
        while !(self.reversed.len() + more).is_multiple_of(size) {
            self.reversed.push(0);
        }
    }

    fn reference(&mut self, place: usize) {
        let distance = self.reversed.len() + 4 - place;
        self.put(&(distance as u32).to_le_bytes());
    }

    fn text(&mut self, text: &str) -> usize {
        self.align(4, text.len() + 1);
        self.put(&[0]);
        self.put(text.as_bytes());
        self.put(&(text.len() as u32).to_le_bytes());
        self.reversed.len()
    }

    fn references(&mut self, places: &[usize]) -> usize {
        self.align(4, 0);
        places.iter().rev().for_each(|place| self.reference(*place));
        self.put(&(places.len() as u32).to_le_bytes());
        self.reversed.len()
    }

    /// Writes a table with values in some of its slots, ordered by slot.
    fn table(&mut self, fields: &[(usize, Value)]) -> usize {
        let before = self.reversed.len();
        let slots = fields.last().map_or(0, |(slot, _)| slot + 1);
        let mut places = vec![0; slots];
        for (slot, value) in fields {
            match *value {
                Value::U8(value) => self.put(&[value]),
                Value::I16(value) => {
                    self.align(2, 2);
                    self.put(&value.to_le_bytes());
                }
                Value::I32(value) => {
                    self.align(4, 4);
                    self.put(&value.to_le_bytes());
                }
                Value::I64(value) => {
                    self.align(8, 8);
                    self.put(&value.to_le_bytes());
                }
                Value::Reference(place) => {
                    self.align(4, 4);
                    self.reference(place);
                }
            }
            places[*slot] = self.reversed.len();
        }
        // The distance to the list of slots, which lies before the table, is put in afterwards.
        self.align(4, 4);
        self.put(&[0; 4]);
        let table = self.reversed.len();
        for place in places.iter().rev() {
            let offset = if *place == 0 { 0 } else { table - place };
            self.put(&(offset as u16).to_le_bytes());
        }
        self.put(&((table - before) as u16).to_le_bytes());
        self.put(&((4 + 2 * slots) as u16).to_le_bytes());
        let distance = (self.reversed.len() - table) as i32;
        for (index, byte) in distance.to_le_bytes().into_iter().enumerate() {
            self.reversed[table - 1 - index] = byte;
        }
        table
    }

    /// The whole buffer, which begins with a reference to its root.
    fn finish(mut self, root: usize) -> Vec<u8> {
        self.align(8, 4);
        self.reference(root);
        self.reversed.reverse();
        self.reversed
    }
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number = (0..3)
            .fold(0u32, |number, at| number << 8 | u32::from(three.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let letter = LETTERS[(number >> (18 - 6 * at)) as usize % 64];
            text.push(if at <= three.len() { char::from(letter) } else { '=' });
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, expected) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
    }

    #[test]
    fn a_table_is_found_from_the_root_and_its_slots_from_the_table() {
        let mut buffer = Buffer::default();
        let text = buffer.text("ab");
        let root = buffer.table(&[(0, Value::I32(77)), (2, Value::Reference(text))]);
        let bytes = buffer.finish(root);
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let short = |at: usize| usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
        let table = number(0);
        let slots = table - number(table);
        assert_eq!((short(slots), short(slots + 6)), (10, 0), "three slots, the second is empty");
        assert_eq!(number(table + short(slots + 4)), 77);
        let reference = table + short(slots + 8);
        let text = reference + number(reference);
        assert_eq!((number(text), &bytes[text + 4..text + 7]), (2, &b"ab\0"[..]));
    }
}
