//! The reasons why the bytes of a file did not become an image.

use std::error::Error;

use super::ImageFormat;

/// Tells why an image could not be read; the file goes into the report and the run goes on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImagingError {
    /// The file has no bytes at all.
    #[error("expected an image, found an empty file")]
    Empty,

    /// The bytes are of a known kind that is no still image, such as text or video.
    #[error("expected an image, found {found}")]
    NotAnImage {
        /// What the bytes are, in words that fit after "found": `"text"`, `"a PDF document"`.
        found: &'static str,
    },

    /// The bytes are an image of a format that has no decoder here.
    #[error("{found} is not supported yet; convert the image to JPEG or PNG")]
    UnsupportedFormat {
        /// The usual name of the format: `"JPEG 2000"`, `"SVG"`.
        found: &'static str,
    },

    /// The first bytes belong to no format that we know.
    #[error(
        "expected JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG XL or camera raw, \
         found the bytes {}",
        hexadecimal(first_bytes)
    )]
    UnknownFormat {
        /// Up to 8 bytes from the start of the file.
        first_bytes: Vec<u8>,
    },

    /// The header declares a width or a height of 0.
    #[error("expected at least one pixel, found a {format} of {width_px} x {height_px}")]
    NoPixels {
        /// The format of the file.
        format: ImageFormat,
        /// Declared width.
        width_px: u32,
        /// Declared height.
        height_px: u32,
    },

    /// The header declares more pixels than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error(
        "expected at most {pixels_max} pixels, found {width_px} x {height_px}; raise the limit if the image is trusted"
    )]
    TooManyPixels {
        /// Declared width.
        width_px: u32,
        /// Declared height.
        height_px: u32,
        /// The limit.
        pixels_max: u64,
    },

    /// Decoding would take more memory than [`DecodeLimits`](super::DecodeLimits) allows.
    #[error(
        "expected a {format} that decodes within {memory_bytes_max} bytes of memory, found one that needs more"
    )]
    TooMuchMemory {
        /// The format of the file.
        format: ImageFormat,
        /// The limit.
        memory_bytes_max: u64,
    },

    /// The bytes end before the image does.
    #[error("expected a whole {format}, found one that is cut off; copy the file again")]
    Truncated {
        /// The format of the file.
        format: ImageFormat,
    },

    /// The image is of a supported format, in a variant that has no decoder here.
    #[error("this variant of {format} is not supported yet; convert the image to JPEG or PNG")]
    UnsupportedVariant {
        /// The format of the file.
        format: ImageFormat,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },

    /// A camera raw file holds no preview that could stand for the photo.
    #[error(
        "expected a preview of at least {side_px_min} pixels inside the camera raw, found {}; \
         convert the photo to JPEG",
        preview_size(found_px)
    )]
    NoPreview {
        /// Longer side that a preview must have.
        side_px_min: u32,
        /// Width and height of the largest preview.
        found_px: Option<(u32, u32)>,
    },

    /// The bytes contradict the rules of their format.
    #[error("expected a valid {format}, found damaged data")]
    Corrupt {
        /// The format of the file.
        format: ImageFormat,
        /// What the decoder said.
        source: Box<dyn Error + Send + Sync>,
    },
}

fn preview_size(found_px: &Option<(u32, u32)>) -> String {
    match found_px {
        Some((width_px, height_px)) => format!("one of {width_px} x {height_px}"),
        None => "none".to_owned(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_bytes_are_shown_in_hexadecimal() {
        let error = ImagingError::UnknownFormat { first_bytes: vec![0, 0xFE, 7] };
        assert_eq!(
            error.to_string(),
            "expected JPEG, PNG, WebP, GIF, BMP, TIFF, AVIF, HEIC, JPEG XL or camera raw, \
             found the bytes 00 fe 07"
        );
    }

    #[test]
    fn the_cause_is_in_source_and_not_repeated_in_the_message() {
        let error =
            ImagingError::Corrupt { format: ImageFormat::Png, source: "bad checksum".into() };
        assert_eq!(error.to_string(), "expected a valid PNG, found damaged data");
        assert_eq!(error.source().unwrap().to_string(), "bad checksum");
    }
}
