//! Lists of images, page by page, in an order.

use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::filter::Filter;
use super::image::ImageSummary;
use crate::database::ImageRow;

/// The order of a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::server) enum Order {
    /// As they arrived.
    #[default]
    Id,
    /// Captured last first; those without a capture time at the end.
    Newest,
    /// Captured first first; those without a capture time at the end.
    Oldest,
}

/// Where an image stands in an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) struct Place {
    /// Bytes that sort as the order wants; empty where the number alone decides.
    key: Vec<u8>,
    id: u64,
}

impl Order {
    pub(in crate::server) fn place(self, row: &ImageRow) -> Place {
        let captured = row.record.captured_at.as_deref();
        let key = match (self, captured) {
            (Self::Id, _) => Vec::new(),
            // Above all bytes of a date, and of a date turned upside down.
            (_, None) => vec![0xFF],
            (Self::Oldest, Some(time)) => time.as_bytes().to_vec(),
            (Self::Newest, Some(time)) => time.bytes().map(|byte| 0xFE - byte.min(0x7F)).collect(),
        };
        Place { key, id: row.id.0 }
    }
}

impl Place {
    /// The place as a cursor.
    pub(in crate::server) fn cursor(&self) -> String {
        let key: String = self.key.iter().map(|byte| format!("{byte:02x}")).collect();
        format!("{key}.{}", self.id)
    }

    /// Reads a cursor; `None` for what is none.
    pub(in crate::server) fn parse(cursor: &str) -> Option<Self> {
        let (key, id) = cursor.split_once('.')?;
        let is_hex = key.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_number = id.bytes().all(|byte| byte.is_ascii_digit());
        if !is_hex || !is_number || !key.len().is_multiple_of(2) || key.len() > 200 {
            return None;
        }
        let byte = |at: usize| u8::from_str_radix(&key[at..at + 2], 16).ok();
        let key = (0..key.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some(Self { key, id: id.parse().ok()? })
    }
}

/// Which page of all images.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(in crate::server) struct PageParams {
    /// Images, at most; 100 when absent.
    #[param(minimum = 1, maximum = 1000)]
    pub(in crate::server) limit: Option<u16>,
    /// Goes on where another answer ended: its `next`.
    pub(in crate::server) cursor: Option<String>,
    #[param(inline)]
    pub(in crate::server) order: Option<Order>,
}

/// Which page of which images.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"filter": {"must": [{"key": "captured_at", "range": {"gte": "2024"}}]}, "order": "newest"}))]
pub(in crate::server) struct ScrollRequest {
    pub(in crate::server) filter: Option<Filter>,
    /// Images, at most.
    #[schema(minimum = 1, maximum = 1000, default = 100)]
    pub(in crate::server) limit: Option<u16>,
    /// Goes on where another answer ended: its `next`.
    pub(in crate::server) cursor: Option<String>,
    pub(in crate::server) order: Option<Order>,
}

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::server) struct Page {
    pub(in crate::server) images: Vec<ImageSummary>,
    /// Where the next page begins; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::server) next: Option<String>,
}

/// Which images are laid out.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::server) struct ShapesRequest {
    pub(in crate::server) filter: Option<Filter>,
    pub(in crate::server) order: Option<Order>,
}

/// All images of a list at once, with what a layout needs: 12 bytes for each.
#[derive(Debug, Default, Serialize, ToSchema)]
pub(in crate::server) struct Shapes {
    /// The numbers, in order.
    pub(in crate::server) ids: Vec<u64>,
    /// Width through height of each, in hundredths.
    pub(in crate::server) ratios: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_its_own_text_and_nothing_else() {
        let place = Place { key: b"2024-05".to_vec(), id: 17 };
        assert_eq!(Place::parse(&place.cursor()), Some(place));
        let bare = Place { key: Vec::new(), id: u64::MAX };
        assert_eq!(Place::parse(&bare.cursor()), Some(bare));
        for text in ["", "17", ".", ".-1", "0.1", "zz.1", "0f.x", "\u{e9}a.1", "+1.1"] {
            assert_eq!(Place::parse(text), None, "{text:?}");
        }
    }
}
