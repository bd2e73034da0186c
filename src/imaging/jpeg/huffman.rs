//! Huffman tables: one look-up for a symbol, and one for all symbols in the next few bits.

use super::bits::Bits;

/// Bits that index the look-up of one symbol; longer codes are rare.
const CODE_BITS: u32 = 10;
const CODE_LENGTH: usize = 1 << CODE_BITS;

/// Bits that index the look-up of several symbols: the tables of brightness and color, 8 KB each,
/// must stay in the first cache beside those of single symbols.
const WALK_BITS: u32 = 12;
const WALK_LENGTH: usize = 1 << WALK_BITS;

/// Coefficients of a block.
const BLOCK_LENGTH: u32 = 64;

/// The end of a block adds this to the coefficients that an entry of [`Walk`] passes over.
const END: u32 = 128;

/// A Huffman code, as a DHT segment defines it.
///
/// Symbols of coefficients are two numbers of 4 bits: the zeros that precede the coefficient, and
/// how many bits of value follow the code.
pub(super) struct Code {
    /// For the next 10 bits: the length of the code and the symbol; 0 where the code is longer.
    lookup: Box<[Short; CODE_LENGTH]>,
    /// For each length: the end of its codes, left-aligned in 16 bits, and what added to
    /// a code gives the index of its symbol.
    longer: [Longer; 17],
    symbols: Vec<u8>,
}

#[derive(Clone, Copy, Default)]
struct Short {
    length: u8,
    symbol: u8,
}

#[derive(Clone, Copy, Default)]
struct Longer {
    end: u32,
    offset: i32,
}

/// A decoded symbol.
#[derive(Clone, Copy)]
pub(super) struct Symbol {
    /// Coefficients of 0 in front, 0 to 15.
    pub(super) run: u32,
    /// Bits of the value, 0 to 15.
    pub(super) size: u32,
    /// Bits of the code itself, 1 to 16.
    pub(super) length: u32,
}

impl Code {
    /// Builds the code from the number of codes of each length, 1 to 16, and their symbols.
    ///
    /// Gives `None` for what is no code: too many codes of a length, or one of ones alone.
    pub(super) fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut lookup = vec![Short::default(); CODE_LENGTH];
        let mut longer = [Longer::default(); 17];
        let (mut code, mut index) = (0_u32, 0_usize);
        for (length, count) in (1_u32..).zip(counts) {
            let count = usize::from(*count);
            longer[length as usize].offset = index as i32 - code as i32;
            for symbol in symbols.get(index..index + count)? {
                if length <= CODE_BITS {
                    let span = CODE_LENGTH >> length;
                    let entry = Short { length: length as u8, symbol: *symbol };
                    lookup.get_mut(code as usize * span..)?.get_mut(..span)?.fill(entry);
                }
                code += 1;
            }
            if code >= 1 << length {
                return None;
            }
            index += count;
            longer[length as usize].end = code << (16 - length);
            code <<= 1;
        }
        let lookup = lookup.into_boxed_slice().try_into().ok()?;
        Some(Self { lookup, longer, symbols: symbols[..index].to_vec() })
    }

    /// Finds the next symbol; `None` for an invalid code. Needs 16 bits in the window.
    #[inline(always)]
    pub(super) fn find(&self, bits: &Bits<'_>) -> Option<Symbol> {
        let Short { length, symbol } = self.lookup[bits.peek(CODE_BITS) as usize];
        if length == 0 {
            return self.find_long(bits.peek(16));
        }
        Some(Symbol::new(symbol, u32::from(length)))
    }

    #[cold]
    fn find_long(&self, next: u32) -> Option<Symbol> {
        let length = (CODE_BITS + 1..=16).find(|at| next < self.longer[*at as usize].end)?;
        let code = (next >> (16 - length)) as i32;
        let index = usize::try_from(code + self.longer[length as usize].offset).ok()?;
        Some(Symbol::new(*self.symbols.get(index)?, length))
    }
}

impl Symbol {
    fn new(symbol: u8, length: u32) -> Self {
        Self { run: u32::from(symbol >> 4), size: u32::from(symbol & 15), length }
    }

    /// Reads the value that follows the code, and drops both. Needs 32 bits in the window.
    #[inline(always)]
    pub(super) fn take_value(self, bits: &mut Bits<'_>) -> i32 {
        let magnitude = bits.peek_behind(self.length, self.size) as i32;
        bits.consume(self.length + self.size);
        // A value whose first bit is 0 is negative: it counts from -(2^size - 1) upwards.
        let negative = (magnitude << 1) >> self.size == 0;
        if negative { magnitude - (1 << self.size) + 1 } else { magnitude }
    }
}

/// Passes over the coefficients of blocks, several in one look-up, without their values.
pub(super) struct Walk {
    lookup: Box<[Step; WALK_LENGTH]>,
}

/// What the codes that lie wholly within the next bits come to, the value of the last included
/// even where it reaches further.
#[derive(Clone, Copy, Default)]
struct Step {
    /// Coefficients passed over, and [`END`] with the end of the block.
    advance: u8,
    /// Bits used up, at most 12 + 10.
    length: u8,
}

impl Walk {
    /// No step has more coefficients than a block, so the sum with those before tells all.
    const ADVANCE_MAX: u32 = BLOCK_LENGTH - 1;
    /// Bits of the longest value of a coefficient.
    pub(super) const SIZE_MAX: u32 = 10;
    /// Advances by this where the first code is not known from the next bits.
    const UNKNOWN: Step = Step { advance: u8::MAX, length: 0 };

    pub(super) fn new(code: &Code) -> Self {
        let steps: Vec<Step> = (0..WALK_LENGTH).map(|next| Self::step(code, next)).collect();
        let lookup = steps.into_boxed_slice().try_into();
        Self { lookup: lookup.unwrap_or_else(|_| unreachable!("one step for each index")) }
    }

    fn step(code: &Code, next: usize) -> Step {
        let (mut advance, mut used) = (0, 0);
        while used < WALK_BITS {
            let known = (next << used) & (WALK_LENGTH - 1);
            let short = code.lookup[known >> (WALK_BITS - CODE_BITS)];
            let symbol = Symbol::new(short.symbol, u32::from(short.length));
            // Bits shifted in are not known.
            if symbol.length == 0 || used + symbol.length > WALK_BITS {
                break;
            }
            let Some(passed) = symbol.coefficients() else { break };
            if passed == 0 {
                advance += END;
                used += symbol.length;
                break;
            }
            if advance + passed > Self::ADVANCE_MAX {
                break;
            }
            advance += passed;
            used += symbol.length + symbol.size;
        }
        if used == 0 {
            return Self::UNKNOWN;
        }
        Step { advance: advance as u8, length: used as u8 }
    }

    /// Passes over the rest of a block, from coefficient `index` on, 1 to 63.
    ///
    /// Gives `None` for invalid codes and for a block of more than 64 coefficients.
    #[inline(always)]
    pub(super) fn finish_block(&self, code: &Code, bits: &mut Bits<'_>, index: u32) -> Option<()> {
        let mut index = index;
        loop {
            bits.refill();
            for _ in 0..2 {
                let Step { advance, length } = self.lookup[bits.peek(WALK_BITS) as usize];
                let next = index + u32::from(advance);
                if next >= BLOCK_LENGTH {
                    // The block is complete if it is full, or if it ended before it was full.
                    if next == BLOCK_LENGTH || (END < next && next < END + BLOCK_LENGTH) {
                        bits.consume(u32::from(length));
                        return Some(());
                    }
                    return finish_block_slowly(code, bits, index);
                }
                bits.consume(u32::from(length));
                index = next;
            }
        }
    }
}

impl Symbol {
    /// Gives how many coefficients a symbol stands for, 0 for the end of the block; `None` where
    /// it stands for nothing in a sequential image.
    #[inline(always)]
    pub(super) fn coefficients(self) -> Option<u32> {
        match (self.run, self.size) {
            (0, 0) => Some(0),
            (15, 0) => Some(16),
            (_, 1..=Walk::SIZE_MAX) => Some(self.run + 1),
            _ => None,
        }
    }
}

/// Passes over the rest of a block symbol by symbol, where a step would go too far.
#[cold]
fn finish_block_slowly(code: &Code, bits: &mut Bits<'_>, mut index: u32) -> Option<()> {
    while index < BLOCK_LENGTH {
        bits.refill();
        let symbol = code.find(bits)?;
        let passed = symbol.coefficients()?;
        bits.consume(symbol.length + symbol.size);
        if passed == 0 {
            return Some(());
        }
        index += passed;
    }
    (index == BLOCK_LENGTH).then_some(())
}
