//! Walks over the markers of a JPEG file.

use memchr::memchr;

pub(super) const START_OF_IMAGE: u8 = 0xD8;
pub(super) const END_OF_IMAGE: u8 = 0xD9;
pub(super) const START_OF_SCAN: u8 = 0xDA;

/// A marker and the bytes that belong to it.
pub(super) struct Segment<'a> {
    /// Where its 0xFF is, from the start of the file.
    pub(super) start: usize,
    pub(super) marker: u8,
    pub(super) payload: &'a [u8],
}

/// Walks over the markers of a file. Pixel data needs no case of its own: inside it, 0xFF is
/// followed by 0 or by a restart marker, and both are passed over.
pub(super) struct Segments<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Segments<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, position: 0 }
    }

    /// Gives what follows the segment that came last.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.position..).unwrap_or_default()
    }

    /// Goes on `length` bytes further.
    pub(super) fn skip_bytes(&mut self, length: usize) {
        self.position += length;
    }

    /// Takes the 2 length bytes, which count themselves, and what they announce.
    fn take_payload(&mut self) -> Option<&'a [u8]> {
        let rest = &self.bytes[self.position..];
        let length = usize::from(u16::from_be_bytes(*rest.first_chunk()?));
        self.position += length;
        rest.get(2..length)
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        loop {
            let rest = self.bytes.get(self.position..)?;
            let start = self.position + memchr(0xFF, rest)?;
            let marker = *self.bytes.get(start + 1)?;
            // A marker may be preceded by any number of 0xFF: step by one, not over both.
            self.position = start + if marker == 0xFF { 1 } else { 2 };
            let payload = match marker {
                0x00 | 0x01 | 0xFF | 0xD0..=0xD7 => continue,
                START_OF_IMAGE | END_OF_IMAGE => &[],
                _ => self.take_payload()?,
            };
            return Some(Segment { start, marker, payload });
        }
    }
}
