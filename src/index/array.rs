//! Arrays that lie in memory or in a mapped file, and are read the same way.

use std::ops::{Deref, Range};
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::Mmap;

/// Numbers of one kind, in memory of their own or in a file that is mapped into memory.
#[derive(Debug, Clone)]
pub(super) enum Array<T> {
    /// In memory, from a position on.
    Owned(Vec<T>, usize),
    /// In a file. The range is checked when the array is made.
    Mapped(Arc<Mmap>, Range<usize>),
}

impl<T: Pod> Array<T> {
    /// So many zeros, of which the first lies at the start of a cache line.
    pub(super) fn zeros(len: usize) -> Self {
        let spare = LINE_BYTES / size_of::<T>();
        let numbers = vec![T::zeroed(); len + spare];
        let start = numbers.as_ptr().align_offset(LINE_BYTES).min(spare);
        let mut numbers = numbers;
        numbers.truncate(start + len);
        Self::Owned(numbers, start)
    }

    /// The numbers in these bytes of a file; `None` if they do not lie there, whole and aligned.
    pub(super) fn mapped(map: &Arc<Mmap>, bytes: Range<usize>) -> Option<Self> {
        let found: &[u8] = map.get(bytes.clone())?;
        bytemuck::try_cast_slice::<u8, T>(found).ok()?;
        Some(Self::Mapped(Arc::clone(map), bytes))
    }

    /// The numbers of an array in memory, to write them.
    ///
    /// # Panics
    ///
    /// If the array lies in a file.
    pub(super) fn owned_mut(&mut self) -> &mut [T] {
        match self {
            Self::Owned(numbers, start) => &mut numbers[*start..],
            Self::Mapped(..) => panic!("a mapped array is never written"),
        }
    }
}

impl<T: Pod> Deref for Array<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        match self {
            Self::Owned(numbers, start) => &numbers[*start..],
            Self::Mapped(map, bytes) => bytemuck::cast_slice(&map[bytes.clone()]),
        }
    }
}

impl<T> From<Vec<T>> for Array<T> {
    fn from(numbers: Vec<T>) -> Self {
        Self::Owned(numbers, 0)
    }
}

impl<T: Pod + PartialEq> PartialEq for Array<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Pod + Eq> Eq for Array<T> {}

const LINE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_start_at_a_cache_line() {
        for len in [0, 1, 64, 1000] {
            let mut array = Array::<i8>::zeros(len);
            assert_eq!(array.as_ptr() as usize % LINE_BYTES, 0);
            array.owned_mut().fill(3);
            assert_eq!(*array, vec![3; len]);
        }
    }

    #[test]
    fn only_whole_and_aligned_numbers_inside_the_file_are_an_array() {
        let map = memmap2::MmapMut::map_anon(64).and_then(memmap2::MmapMut::make_read_only);
        let map = Arc::new(map.expect("memory"));
        assert_eq!(Array::<u32>::mapped(&map, 4..12).as_deref(), Some(&[0, 0][..]));
        for bytes in [1..9, 4..11, 60..68, 128..128] {
            assert!(Array::<u32>::mapped(&map, bytes).is_none());
        }
    }
}
