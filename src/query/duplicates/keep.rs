//! Which of several duplicates to keep, and why.

use std::cmp::Ordering;

use crate::query::Row;
use crate::record::{Fingerprint, Location};

/// What the user wants to keep.
#[derive(Clone, Debug, Default)]
pub struct KeepRules {
    /// Files in these folders are kept before all others, those in the first above all.
    pub folders: Vec<Location>,
}

/// An image with its fingerprint, if that is known.
type Contender<'a> = (&'a Row, Option<&'a Fingerprint>);

/// One thing that speaks for an image.
struct Reason {
    order: Ordering,
    words: &'static str,
}

impl KeepRules {
    /// Orders two images, the one to keep first, with the reason.
    pub(super) fn prefer(
        &self,
        a: Contender<'_>,
        b: Contender<'_>,
    ) -> (Ordering, Option<&'static str>) {
        let decided = self.reasons(a, b).into_iter().find(|reason| reason.order.is_ne());
        match decided {
            Some(reason) => (reason.order, Some(reason.words)),
            None => (a.0.id.cmp(&b.0.id), None),
        }
    }

    /// What speaks for `a` (`Less`) or for `b`, the weightiest first.
    fn reasons(&self, a: Contender<'_>, b: Contender<'_>) -> [Reason; 7] {
        let more = |a: f64, b: f64| b.total_cmp(&a);
        let (ra, rb) = (&a.0.record, &b.0.record);
        let pixels = |row: &Row| f64::from(row.record.width_px) * f64::from(row.record.height_px);
        let yes = |a: bool, b: bool| b.cmp(&a);
        let sharpness = |contender: Contender<'_>| {
            contender.1.map_or(0.0, |print| f64::from(print.quality.sharpness))
        };
        // Differences of measured sharpness are noise below a fifth.
        let sharper = match (sharpness(a), sharpness(b)) {
            (x, y) if x > y * 1.2 => Ordering::Less,
            (x, y) if y > x * 1.2 => Ordering::Greater,
            _ => Ordering::Equal,
        };
        // Files of different formats do not tell by their size how much was kept.
        let larger = match ra.format == rb.format {
            true => rb.size_bytes.cmp(&ra.size_bytes),
            false => Ordering::Equal,
        };
        let reason = |order, words| Reason { order, words };
        [
            reason(self.rank(a.0).cmp(&self.rank(b.0)), "it lies in a folder to keep"),
            reason(more(pixels(a.0), pixels(b.0)), "it has more pixels"),
            reason(yes(ra.captured_at.is_some(), rb.captured_at.is_some()), "it knows its time"),
            reason(yes(is_lossless(a.0), is_lossless(b.0)), "its format loses nothing"),
            reason(sharper, "it is sharper"),
            reason(larger, "its file of the same format is larger"),
            reason(yes(!is_copy(a.0), !is_copy(b.0)), "its name is not that of a copy"),
        ]
    }

    /// Whether a file of an image lies in a folder to keep.
    pub(super) fn is_in_folder(&self, row: &Row) -> bool {
        self.rank(row) < self.folders.len()
    }

    /// The place of the first folder to keep that holds a file of the image.
    fn rank(&self, row: &Row) -> usize {
        let holds = |folder: &Location| row.locations.iter().any(|file| file.is_under(folder));
        self.folders.iter().position(holds).unwrap_or(self.folders.len())
    }

    /// Orders the files of one image, the one to keep first.
    pub(super) fn prefer_file(&self, a: &Location, b: &Location) -> Ordering {
        let rank = |file: &Location| {
            let folder = self.folders.iter().position(|folder| file.is_under(folder));
            folder.unwrap_or(self.folders.len())
        };
        let key = |file: &Location| (rank(file), has_copy_name(file), file.as_bytes().len());
        key(a).cmp(&key(b)).then_with(|| a.cmp(b))
    }
}

fn is_lossless(row: &Row) -> bool {
    ["PNG", "TIFF", "BMP"].contains(&row.record.format.as_str())
}

fn is_copy(row: &Row) -> bool {
    !row.locations.is_empty() && row.locations.iter().all(has_copy_name)
}

/// Whether the name is one that programs give to copies: `a copy.jpg`, `a (1).jpg`, `Copy of a.jpg`.
fn has_copy_name(file: &Location) -> bool {
    let text = file.to_string().to_lowercase();
    let name = text.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let is_numbered = stem.strip_suffix(')').and_then(|rest| rest.rsplit_once(" (")).is_some_and(
        |(_, number)| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()),
    );
    is_numbered
        || stem.starts_with("copy of ")
        || stem.ends_with(" copy")
        || stem.ends_with("-copy")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_copies_are_known() {
        let is_copy = |name: &str| has_copy_name(&Location::from_bytes(name.into()));
        for name in ["x/a (1).jpg", "a copy.png", "Copy of a.jpg", "a-copy.jpg", "a (12)"] {
            assert!(is_copy(name), "{name}");
        }
        for name in ["a (1)/b.jpg", "a (x).jpg", "copycat.jpg", "a1.jpg", "(1).jpg"] {
            assert!(!is_copy(name), "{name}");
        }
    }

    #[test]
    fn a_folder_to_keep_goes_before_a_shorter_path() {
        let file = |name: &str| Location::from_bytes(name.into());
        let rules = KeepRules { folders: vec![file("best")] };
        assert_eq!(rules.prefer_file(&file("best/long/name.jpg"), &file("a.jpg")), Ordering::Less);
        let none = KeepRules::default();
        assert_eq!(
            none.prefer_file(&file("best/long/name.jpg"), &file("a.jpg")),
            Ordering::Greater
        );
        assert_eq!(none.prefer_file(&file("a (1).jpg"), &file("long/a.jpg")), Ordering::Greater);
    }
}
