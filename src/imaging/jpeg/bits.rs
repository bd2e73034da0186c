//! Reads bits, the most significant first, from entropy-coded data without stuffing.

/// A window of up to 64 bits over the data.
///
/// Behind the end it reads ones, of which no Huffman code consists alone, so that a decoder that
/// runs out of data meets an invalid code soon; [`is_finished`](Self::is_finished) tells for sure.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    data: &'a [u8],
    /// The byte that is loaded next; may lie behind the end.
    position: usize,
    /// Starts with the next bit. Behind the `count` bits may follow further bits of the data.
    window: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, position: 0, window: 0, count: 0 }
    }

    /// Fills the window up to at least 56 bits.
    #[inline(always)]
    pub(super) fn refill(&mut self) {
        let word = match self.data.get(self.position..).and_then(<[u8]>::first_chunk) {
            Some(bytes) => u64::from_be_bytes(*bytes),
            None => self.last_word(),
        };
        self.window |= word >> self.count;
        self.position += ((63 - self.count) >> 3) as usize;
        self.count |= 56;
    }

    #[cold]
    fn last_word(&self) -> u64 {
        let rest = self.data.get(self.position..).unwrap_or_default();
        let mut bytes = [0xFF; 8];
        bytes[..rest.len()].copy_from_slice(rest);
        u64::from_be_bytes(bytes)
    }

    /// Gives the next `length` bits, 1 to 32, and leaves them there.
    #[inline(always)]
    pub(super) fn peek(&self, length: u32) -> u32 {
        (self.window >> (64 - length)) as u32
    }

    /// Gives the `length` bits, 0 to 16, that follow the next `skipped`, at most 32.
    #[inline(always)]
    pub(super) fn peek_behind(&self, skipped: u32, length: u32) -> u32 {
        ((self.window << skipped) >> 32 >> (32 - length)) as u32
    }

    /// Drops bits: no more than [`refill`](Self::refill) and the calls since then have left.
    #[inline(always)]
    pub(super) fn consume(&mut self, length: u32) {
        self.window <<= length;
        self.count -= length;
    }

    /// Gives the next `length` bits, 0 to 16, and drops them.
    #[inline(always)]
    pub(super) fn take(&mut self, length: u32) -> u32 {
        let value = self.peek_behind(0, length);
        self.consume(length);
        value
    }

    /// Gives how many bits were consumed since the start.
    pub(super) fn consumed(&self) -> usize {
        self.position * 8 - self.count as usize
    }

    /// Tells whether the data were used up but for the bits that fill the last byte, and perhaps
    /// a few bytes of padding.
    pub(super) fn is_finished(&self) -> bool {
        const PADDING_BYTES_MAX: usize = 4;
        let unread_bits = (self.data.len() * 8).checked_sub(self.consumed());
        unread_bits.is_some_and(|unread| unread < 8 * (PADDING_BYTES_MAX + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_order_and_ones_follow() {
        let data: Vec<u8> = (0..40_u32).map(|index| (index * 37 % 251) as u8).collect();
        for step in [1, 3, 7, 8, 13, 16] {
            let mut bits = Bits::new(&data);
            let bit_at = |index: usize| {
                data.get(index / 8).map_or(1, |byte| u32::from(byte >> (7 - index % 8) & 1))
            };
            let mut index = 0;
            while index < 400 {
                let value = (index..index + step).fold(0, |value, at| value << 1 | bit_at(at));
                bits.refill();
                assert_eq!(bits.peek_behind(0, step as u32), value, "{step} bits at {index}");
                assert_eq!(bits.take(step as u32), value);
                index += step;
                assert_eq!(bits.consumed(), index);
            }
        }
    }

    #[test]
    fn padding_is_forgiven_and_data_left_over_are_not() {
        let data = [0; 10];
        for (consumed, finished) in [(39, false), (41, true), (73, true), (80, true), (81, false)] {
            let mut bits = Bits::new(&data);
            for _ in 0..consumed {
                bits.refill();
                bits.consume(1);
            }
            assert_eq!(bits.is_finished(), finished, "{consumed} of 80 bits");
        }
    }
}
