//! Takes the stuffing out of the entropy-coded data of a scan.

use memchr::memchr;

/// The data of one scan: runs of bits between restart markers.
pub(super) struct Entropy {
    data: Vec<u8>,
    /// Where each run ends in `data`.
    ends: Vec<usize>,
    /// Bytes that the data take in the file, up to the marker that ends them.
    pub(super) length: usize,
}

impl Entropy {
    /// Reads up to the first marker that is no restart marker.
    ///
    /// Gives `None` if there is none, and if restart markers are not numbered in order.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let mut data = Vec::with_capacity(bytes.len());
        let mut ends = Vec::new();
        let mut position = 0;
        loop {
            let rest = &bytes[position..];
            let length = memchr(0xFF, rest)?;
            data.extend_from_slice(&rest[..length]);
            position += length;
            match *bytes.get(position + 1)? {
                0x00 => {
                    data.push(0xFF);
                    position += 2;
                }
                0xFF => position += 1,
                marker @ 0xD0..=0xD7 => {
                    if usize::from(marker & 7) != ends.len() % 8 {
                        return None;
                    }
                    ends.push(data.len());
                    position += 2;
                }
                _ => {
                    ends.push(data.len());
                    return Some(Self { data, ends, length: position });
                }
            }
        }
    }

    /// Gives how many runs there are, at least 1.
    pub(super) fn run_count(&self) -> usize {
        self.ends.len()
    }

    /// Gives the runs in order.
    pub(super) fn runs(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.data[start..*end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stuffing_and_fill_bytes_go_and_restarts_divide() {
        let bytes = b"ab\xFF\0c\xFF\xD0d\xFF\0\xFF\xFF\xD1\xFF\xFF\xDArest";
        let entropy = Entropy::read(bytes).unwrap();
        let runs: Vec<&[u8]> = entropy.runs().collect();
        assert_eq!(runs, [b"ab\xFFc".as_slice(), b"d\xFF", b""]);
        assert_eq!(entropy.run_count(), 3);
        assert_eq!(&bytes[entropy.length..], b"\xFF\xDArest");
    }

    #[test]
    fn missing_ends_and_restarts_out_of_order_are_refused() {
        for bytes in [b"abc".as_slice(), b"abc\xFF", b"a\xFF\0", b"a\xFF\xD1b\xFF\xD9", b""] {
            assert!(Entropy::read(bytes).is_none(), "{bytes:?}");
        }
    }
}
