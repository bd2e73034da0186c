//! Structures of Thrift's compact protocol, written field by field in the order of their numbers.

const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;
/// From this length on, that of a list does not fit beside its type.
const LENGTH_APART: usize = 15;

/// A structure in the making.
#[derive(Clone, Debug, Default)]
pub(super) struct Struct {
    bytes: Vec<u8>,
    last: i16,
}

impl Struct {
    pub(super) fn new() -> Self {
        Self::default()
    }

    pub(super) fn i32(mut self, field: i16, value: i32) -> Self {
        self.field(field, I32);
        zigzag(&mut self.bytes, value.into());
        self
    }

    pub(super) fn i64(mut self, field: i16, value: i64) -> Self {
        self.field(field, I64);
        zigzag(&mut self.bytes, value);
        self
    }

    pub(super) fn text(mut self, field: i16, value: &str) -> Self {
        self.field(field, BINARY);
        binary(&mut self.bytes, value);
        self
    }

    pub(super) fn structure(mut self, field: i16, value: Self) -> Self {
        self.field(field, STRUCT);
        self.bytes.extend(value.finish());
        self
    }

    pub(super) fn i32s(mut self, field: i16, values: &[i32]) -> Self {
        self.list(field, I32, values.len());
        values.iter().for_each(|value| zigzag(&mut self.bytes, (*value).into()));
        self
    }

    pub(super) fn texts(mut self, field: i16, values: &[&str]) -> Self {
        self.list(field, BINARY, values.len());
        values.iter().for_each(|value| binary(&mut self.bytes, value));
        self
    }

    pub(super) fn structures(mut self, field: i16, values: Vec<Self>) -> Self {
        self.list(field, STRUCT, values.len());
        values.into_iter().for_each(|value| self.bytes.extend(value.finish()));
        self
    }

    /// The bytes of the whole structure.
    pub(super) fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes
    }

    fn field(&mut self, number: i16, kind: u8) {
        let step = number - self.last;
        assert!((1..16).contains(&step), "fields are written in the order of their numbers");
        self.bytes.push((step as u8) << 4 | kind);
        self.last = number;
    }

    fn list(&mut self, field: i16, kind: u8, length: usize) {
        self.field(field, LIST);
        if length < LENGTH_APART {
            self.bytes.push((length as u8) << 4 | kind);
        } else {
            self.bytes.push(0xF0 | kind);
            varint(&mut self.bytes, length as u64);
        }
    }
}

/// Writes a number in groups of seven bits, the lowest first.
pub(super) fn varint(bytes: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
}

fn zigzag(bytes: &mut Vec<u8>, value: i64) {
    varint(bytes, ((value << 1) ^ (value >> 63)) as u64);
}

fn binary(bytes: &mut Vec<u8>, text: &str) {
    varint(bytes, text.len() as u64);
    bytes.extend(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_structure_has_the_bytes_of_the_specification() {
        let inner = Struct::new().i64(2, 300);
        let bytes = Struct::new().i32(1, -1).text(4, "ab").i32s(5, &[0, 1]).structure(6, inner);
        let expected = [0x15, 1, 0x38, 2, b'a', b'b', 0x19, 0x25, 0, 2, 0x1C, 0x26, 0xD8, 4, 0, 0];
        assert_eq!(bytes.finish(), expected);
        let long = Struct::new().i32s(1, &[0; 20]).finish();
        assert_eq!(long[..3], [0x19, 0xF5, 20]);
    }
}
