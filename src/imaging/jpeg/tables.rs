//! The quantization steps and Huffman codes that are in force at a point of a file.

use std::rc::Rc;

use super::huffman::{Code, Walk};

/// What the DQT, DHT and DRI segments read so far have defined.
#[derive(Default)]
pub(super) struct Tables {
    quantization: [Option<[u16; 64]>; 4],
    dc: [Option<Rc<Code>>; 4],
    ac: [Option<Rc<Code>>; 4],
    /// Built from the code beside it when first asked for.
    walks: [Option<Rc<Walk>>; 4],
    /// MCUs between restart markers; 0 without.
    pub(super) restart_interval: usize,
}

impl Tables {
    /// Reads a segment that defines something; others are passed over.
    ///
    /// Gives `None` for definitions that break the rules.
    pub(super) fn read(&mut self, marker: u8, payload: &[u8]) -> Option<()> {
        match marker {
            0xC4 => self.read_codes(payload),
            0xDB => self.read_quantization(payload),
            0xDD => {
                self.restart_interval = u16::from_be_bytes(payload.try_into().ok()?).into();
                Some(())
            }
            _ => Some(()),
        }
    }

    fn read_codes(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let length: usize = counts.iter().map(|count| usize::from(*count)).sum();
            let (symbols, rest) = rest.split_at_checked(length)?;
            let code = Some(Rc::new(Code::new(counts, symbols)?));
            let index = usize::from(kind & 15);
            match kind >> 4 {
                0 => *self.dc.get_mut(index)? = code,
                1 => {
                    *self.ac.get_mut(index)? = code;
                    self.walks[index] = None;
                }
                _ => return None,
            }
            payload = rest;
        }
        Some(())
    }

    fn read_quantization(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((&kind, rest)) = payload.split_first() {
            let (steps, rest) = match kind >> 4 {
                0 => {
                    let (bytes, rest) = rest.split_first_chunk::<64>()?;
                    (bytes.map(u16::from), rest)
                }
                1 => {
                    let (bytes, rest) = rest.split_at_checked(128)?;
                    let words = bytes.as_chunks().0;
                    (std::array::from_fn(|index| u16::from_be_bytes(words[index])), rest)
                }
                _ => return None,
            };
            *self.quantization.get_mut(usize::from(kind & 15))? = Some(steps);
            payload = rest;
        }
        Some(())
    }

    pub(super) fn quantization(&self, index: usize) -> Option<&[u16; 64]> {
        self.quantization.get(index)?.as_ref()
    }

    pub(super) fn dc(&self, index: usize) -> Option<Rc<Code>> {
        self.dc.get(index)?.clone()
    }

    pub(super) fn ac(&self, index: usize) -> Option<Rc<Code>> {
        self.ac.get(index)?.clone()
    }

    pub(super) fn walk(&mut self, index: usize) -> Option<Rc<Walk>> {
        let code = self.ac(index)?;
        let walk = self.walks.get_mut(index)?;
        Some(Rc::clone(walk.get_or_insert_with(|| Rc::new(Walk::new(&code)))))
    }
}
