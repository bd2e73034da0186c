//! Bounds on what decoding one file may cost.

use image::Limits;

use super::{ImageFormat, ImageHeader, ImagingError};

/// Bounds what one file may cost; both are checked before any pixel is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels that a header may declare. Default 200 million.
    pub pixels_max: u64,
    /// Most bytes that decoding may take, for the output and for buffers of about its size.
    /// Default 2 GiB, enough for `pixels_max` at 16 bits a color or in a progressive JPEG.
    pub memory_bytes_max: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { pixels_max: 200_000_000, memory_bytes_max: 2 << 30 }
    }
}

impl DecodeLimits {
    pub(super) fn check_pixels(&self, header: &ImageHeader) -> Result<(), ImagingError> {
        if header.pixels() <= self.pixels_max {
            return Ok(());
        }
        Err(ImagingError::TooManyPixels {
            width_px: header.width_px,
            height_px: header.height_px,
            pixels_max: self.pixels_max,
        })
    }

    pub(super) fn check_memory(&self, format: ImageFormat, bytes: u64) -> Result<(), ImagingError> {
        let memory_bytes_max = self.memory_bytes_max;
        if bytes <= memory_bytes_max {
            return Ok(());
        }
        Err(ImagingError::TooMuchMemory { format, memory_bytes_max })
    }

    pub(super) fn for_library(&self, memory_taken_bytes: u64) -> Limits {
        let mut limits = Limits::no_limits();
        limits.max_alloc = Some(self.memory_bytes_max.saturating_sub(memory_taken_bytes));
        limits
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{WRITABLE, encode, gradient};
    use super::super::{decode, probe};
    use super::*;

    /// Writes big-endian or little-endian numbers over a header that an encoder made.
    fn patched(format: ImageFormat, patches: &[(usize, &[u8])]) -> Vec<u8> {
        let mut bytes = encode(gradient(8, 8), format);
        for (offset, patch) in patches {
            bytes[*offset..][..patch.len()].copy_from_slice(patch);
        }
        if format == ImageFormat::Png {
            let checksum = png_checksum(&bytes[12..29]);
            bytes[29..33].copy_from_slice(&checksum.to_be_bytes());
        }
        bytes
    }

    /// CRC-32, bit by bit.
    fn png_checksum(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |sum, byte| {
            (0..8).fold(sum ^ u32::from(*byte), |sum, _| (sum >> 1) ^ (0xEDB8_8320 * (sum & 1)))
        })
    }

    /// Files of a few hundred bytes whose headers declare 30,000 x 30,000 pixels.
    fn declared_30000() -> Vec<Vec<u8>> {
        let (big, little) = (&30_000_u32.to_be_bytes(), &30_000_u32.to_le_bytes());
        let jpeg = encode(gradient(8, 8), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        let canvas = &(30_000_u32 - 1).to_le_bytes()[..3];
        let mut webp = b"RIFF\x16\0\0\0WEBPVP8X\x0A\0\0\0\0\0\0\0".to_vec();
        webp.extend([canvas, canvas].concat());
        webp.extend(b"VP8 \x10\0\0\0\0\0\0\x9D\x01\x2A\x08\0\x08\0\0\0\0\0\0\0");
        vec![
            patched(ImageFormat::Jpeg, &[(frame + 5, &big[2..]), (frame + 7, &big[2..])]),
            patched(ImageFormat::Png, &[(16, big), (20, big)]),
            patched(ImageFormat::Gif, &[(6, &little[..2]), (8, &little[..2])]),
            patched(ImageFormat::Bmp, &[(18, little), (22, little)]),
            webp,
        ]
    }

    #[test]
    fn thirty_thousand_squared_is_refused_from_the_header() {
        for bytes in declared_30000() {
            let error = decode(&bytes, &DecodeLimits::default()).unwrap_err();
            let ImagingError::TooManyPixels { width_px, height_px, pixels_max } = error else {
                // The WebP reader sees at once that canvas and image contradict each other.
                assert!(bytes.starts_with(b"RIFF"), "{error:?}");
                continue;
            };
            assert_eq!((width_px, height_px), (30_000, 30_000));
            assert_eq!(pixels_max, 200_000_000);
        }
    }

    #[test]
    fn the_limit_itself_is_allowed_and_one_more_is_not() {
        for format in WRITABLE {
            let bytes = encode(gradient(10, 10), format);
            let limits = |pixels_max| DecodeLimits { pixels_max, ..DecodeLimits::default() };
            assert!(decode(&bytes, &limits(100)).is_ok(), "{format}");
            let error = decode(&bytes, &limits(99)).unwrap_err();
            assert!(
                matches!(error, ImagingError::TooManyPixels { pixels_max: 99, .. }),
                "{format}: {error:?}"
            );
        }
    }

    #[test]
    fn memory_is_limited_in_every_format() {
        let limits = DecodeLimits { memory_bytes_max: 299, ..DecodeLimits::default() };
        for format in WRITABLE {
            let bytes = encode(gradient(10, 10), format);
            let error = decode(&bytes, &limits).unwrap_err();
            let expected = matches!(error, ImagingError::TooMuchMemory { format: found, memory_bytes_max: 299 } if found == format);
            assert!(expected, "{format}: {error:?}");
        }
    }

    #[test]
    fn a_side_of_zero_is_an_error_in_every_format() {
        let bmp = patched(ImageFormat::Bmp, &[(18, &[0; 4])]);
        let png = patched(ImageFormat::Png, &[(16, &[0; 4])]);
        let gif = patched(ImageFormat::Gif, &[(6, &[0; 2])]);
        let jpeg = encode(gradient(8, 8), ImageFormat::Jpeg);
        let frame = jpeg.windows(2).position(|two| two == [0xFF, 0xC0]).unwrap();
        let jpeg = patched(ImageFormat::Jpeg, &[(frame + 7, &[0; 2])]);
        for bytes in [bmp, png, gif, jpeg] {
            assert!(probe(&bytes).is_err());
            assert!(decode(&bytes, &DecodeLimits::default()).is_err());
        }
    }
}
