//! The file format of numpy, for one thing: a matrix of 16-bit floats.

use std::io::{BufRead, Write};

const MAGIC: &[u8] = b"\x93NUMPY\x01\x00";
const ALIGNMENT: usize = 64;

/// Rows and columns of a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) rows: u64,
    pub(super) columns: u64,
}

/// Writes what comes before the rows.
pub(super) fn write_header(to: &mut impl Write, shape: Shape) -> std::io::Result<()> {
    let mut text = format!(
        "{{'descr': '<f2', 'fortran_order': False, 'shape': ({}, {}), }}",
        shape.rows, shape.columns
    );
    let length = (MAGIC.len() + 2 + text.len() + 1).next_multiple_of(ALIGNMENT);
    while MAGIC.len() + 2 + text.len() + 1 < length {
        text.push(' ');
    }
    text.push('\n');
    to.write_all(MAGIC)?;
    to.write_all(&(text.len() as u16).to_le_bytes())?;
    to.write_all(text.as_bytes())
}

/// Reads what comes before the rows; `None` for any other kind of array.
pub(super) fn read_header(from: &mut impl BufRead) -> std::io::Result<Option<Shape>> {
    let mut start = [0; 10];
    from.read_exact(&mut start)?;
    let (magic, length) = start.split_at(MAGIC.len());
    let mut text = vec![0; usize::from(u16::from_le_bytes([length[0], length[1]]))];
    from.read_exact(&mut text)?;
    let text: String = text.iter().map(|byte| char::from(*byte)).filter(|c| *c != ' ').collect();
    let is_ours =
        magic == MAGIC && text.contains("'descr':'<f2'") && text.contains("'fortran_order':False");
    let shape = || {
        let (rows, rest) = text.split_once("'shape':(")?.1.split_once(',')?;
        let columns = rest.split([')', ',']).next()?;
        Some(Shape { rows: rows.parse().ok()?, columns: columns.parse().ok()? })
    };
    Ok(shape().filter(|_| is_ours))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_read_as_it_was_written_and_others_are_refused() {
        let shape = Shape { rows: 12, columns: 1280 };
        let mut bytes = Vec::new();
        write_header(&mut bytes, shape).unwrap();
        assert_eq!(bytes.len() % ALIGNMENT, 0);
        assert_eq!(read_header(&mut bytes.as_slice()).unwrap(), Some(shape));
        for (old, new) in [("<f2", "<f4"), ("False", "True "), ("1280", "12x0"), ("shape", "shake")]
        {
            let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
            let changed: Vec<u8> = text.replace(old, new).chars().map(|c| c as u8).collect();
            assert_eq!(read_header(&mut changed.as_slice()).unwrap(), None, "{new}");
        }
        assert!(read_header(&mut &bytes[..20]).is_err());
    }
}
