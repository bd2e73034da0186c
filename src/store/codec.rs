//! The binary form of a value: version, checksum, payload.
//!
//! ```text
//! 0      1            5
//! +------+------------+----------------------+
//! | 0x01 | CRC-32 LE  | payload              |
//! +------+------------+----------------------+
//! ```
//! The checksum covers the key, the version and the payload, so that a value
//! which turns up under another key is refused too.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::StoreError;
use super::keys::Kind;

const VALUE_VERSION: u8 = 1;
const HEADER_BYTES: usize = 5;

/// Wraps raw payload bytes for `key`.
pub(super) fn seal(key: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut value = Vec::with_capacity(HEADER_BYTES + payload.len());
    value.push(VALUE_VERSION);
    value.extend_from_slice(&checksum(key, payload).to_le_bytes());
    value.extend_from_slice(payload);
    value
}

/// Gives back the payload that [`seal`] wrapped for the same key.
///
/// # Errors
/// [`StoreError::Value`] when version or checksum do not fit.
pub(super) fn open<'a>(key: &[u8], value: &'a [u8]) -> Result<&'a [u8], StoreError> {
    match value.split_at_checked(HEADER_BYTES) {
        Some(([VALUE_VERSION, crc @ ..], payload))
            if crc == checksum(key, payload).to_le_bytes() =>
        {
            Ok(payload)
        }
        _ => Err(damaged(key)),
    }
}

/// Encodes a record for `key`.
///
/// # Errors
/// [`StoreError::Encode`] when the record cannot be written by postcard.
pub(super) fn encode<T: Serialize>(key: &[u8], record: &T) -> Result<Vec<u8>, StoreError> {
    let payload = postcard::to_stdvec(record)
        .map_err(|source| StoreError::Encode { record: Kind::name_of(key), source })?;
    Ok(seal(key, &payload))
}

/// Decodes the record that [`encode`] wrote for the same key.
///
/// # Errors
/// [`StoreError::Value`] for anything else.
pub(super) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StoreError> {
    postcard::from_bytes(open(key, value)?).map_err(|_| damaged(key))
}

/// The error for a value that cannot be what was written under `key`.
pub(super) fn damaged(key: &[u8]) -> StoreError {
    let hex = key.iter().take(48).map(|byte| format!("{byte:02x}")).collect();
    StoreError::Value { record: Kind::name_of(key), key: hex }
}

fn checksum(key: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&(key.len() as u32).to_le_bytes());
    hasher.update(key);
    hasher.update(&[VALUE_VERSION]);
    hasher.update(payload);
    hasher.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_and_every_truncation_of_a_value_is_refused() {
        let key = b"i12345678";
        let value = encode(key, &("label", 7u64)).unwrap();
        assert_eq!(decode::<(String, u64)>(key, &value).unwrap(), ("label".to_owned(), 7));
        for length in 0..value.len() {
            assert!(decode::<(String, u64)>(key, &value[..length]).is_err(), "length {length}");
        }
        for bit in 0..value.len() * 8 {
            let mut flipped = value.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode::<(String, u64)>(key, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_value_under_another_key_is_refused() {
        let value = encode(b"i1", &1u8).unwrap();
        assert!(decode::<u8>(b"i2", &value).is_err());
    }
}
