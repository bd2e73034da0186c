//! Searches bytes for JPEG files, where no directory names one.

use super::Preview;

/// Beginnings that are looked into; the notes of a maker hold a thumbnail and a preview or two.
const BEGINNINGS_MAX: usize = 32;

/// Gives the JPEG files that begin within the bytes, each with all that follows it.
pub(super) fn previews(bytes: &[u8]) -> Vec<Preview<'_>> {
    let beginnings = bytes.windows(3).enumerate().filter(|(_, three)| *three == b"\xFF\xD8\xFF");
    beginnings
        .take(BEGINNINGS_MAX)
        .filter_map(|(start, _)| Preview::read(&bytes[start..]))
        .collect()
}
