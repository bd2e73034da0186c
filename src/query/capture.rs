//! Conditions on when and where a photo was taken.

use crate::record::{ImageRecord, Position};

/// A moment by the clock of a camera, as precise as it was given: a year, a day, a second.
///
/// It stands for its beginning: `2024-06` is the first second of June.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment(String);

impl Moment {
    /// Reads `2024`, `2024-06`, `2024-06-01`, or a day with a time: `2024-06-01T14:30` or
    /// `2024-06-01 14:30:05`; `None` for anything else.
    ///
    /// # Examples
    /// ```
    /// use lookalike::query::Moment;
    ///
    /// assert!(Moment::parse("2024-06-01 14:30").is_some());
    /// assert!(Moment::parse("2024-13").is_none());
    /// assert!(Moment::parse("June 2024").is_none());
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let (day, time) = match text.split_once(['T', ' ']) {
            Some((day, time)) => (day, Some(time)),
            None => (text, None),
        };
        let days = numbers(day, '-', &[(4, 1, 9999), (2, 1, 12), (2, 1, 31)])?;
        let is_sound = match time {
            None => true,
            Some(time) => {
                let count = numbers(time, ':', &[(2, 0, 23), (2, 0, 59), (2, 0, 60)])?;
                // An hour alone is more likely a slip than a wish.
                days == 3 && count >= 2
            }
        };
        is_sound.then(|| Self(text.replace(' ', "T")))
    }

    /// Whether a capture time, as records have it, is this moment or later.
    ///
    /// Both are written from the year down with fixed widths, so they sort as texts.
    fn is_reached_by(&self, captured_at: &str) -> bool {
        captured_at >= self.0.as_str()
    }
}

/// Checks that a text is numbers of these widths and ranges, or the first few of them; gives how many.
fn numbers(text: &str, separator: char, parts: &[(usize, u32, u32)]) -> Option<usize> {
    let found: Vec<&str> = text.split(separator).collect();
    let fits = |(part, (width, least, most)): (&&str, &(usize, u32, u32))| {
        part.len() == *width
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && part.parse().is_ok_and(|number: u32| (*least..=*most).contains(&number))
    };
    (found.len() <= parts.len() && found.iter().zip(parts).all(fits)).then_some(found.len())
}

/// A circle on Earth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Near {
    /// Its centre.
    pub centre: Position,
    /// Its radius along the ground; 0 or more.
    pub radius_km: f64,
}

/// When and where an image must have been captured; one that does not know does not pass.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Capture {
    /// At this moment or later.
    pub after: Option<Moment>,
    /// Before this moment.
    pub before: Option<Moment>,
    /// Within this circle.
    pub near: Option<Near>,
}

impl Capture {
    /// Whether a record meets the conditions.
    pub(super) fn passes(&self, record: &ImageRecord) -> bool {
        let time = record.captured_at.as_deref();
        let after = self.after.as_ref();
        let before = self.before.as_ref();
        let place = record.position.as_ref();
        after.is_none_or(|moment| time.is_some_and(|time| moment.is_reached_by(time)))
            && before.is_none_or(|moment| time.is_some_and(|time| !moment.is_reached_by(time)))
            && self.near.is_none_or(|near| {
                place.is_some_and(|place| near.centre.distance_km(place) <= near.radius_km)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ContentHash;

    fn record(captured_at: Option<&str>, position: Option<Position>) -> ImageRecord {
        ImageRecord {
            hash: ContentHash::of(b""),
            width_px: 1,
            height_px: 1,
            size_bytes: 1,
            format: "JPEG".to_owned(),
            orientation: 1,
            captured_at: captured_at.map(str::to_owned),
            camera: None,
            classes: Vec::new(),
            position,
        }
    }

    fn moment(text: &str) -> Option<Moment> {
        Some(Moment::parse(text).unwrap())
    }

    #[test]
    fn a_moment_is_its_beginning() {
        let photo = record(Some("2024-06-01T14:30:05-03:30"), None);
        let first =
            ["2023", "2024", "2024-06", "2024-06-01", "2024-06-01T14:30", "2024-06-01 14:30:05"];
        for text in first {
            let after = Capture { after: moment(text), ..Capture::default() };
            let before = Capture { before: moment(text), ..Capture::default() };
            assert!(after.passes(&photo) && !before.passes(&photo), "{text}");
        }
        for text in ["2024-06-01T14:30:06", "2024-06-01T14:31", "2024-06-02", "2024-07", "2025"] {
            let after = Capture { after: moment(text), ..Capture::default() };
            let before = Capture { before: moment(text), ..Capture::default() };
            assert!(!after.passes(&photo) && before.passes(&photo), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        let wrong = [
            "",
            "24",
            "2024-6",
            "2024-00",
            "2024-13",
            "2024-06-32",
            "2024-06-01T14",
            "2024-06T14:30",
            "2024-06-01T24:00",
            "2024-06-01-02",
            "2024-06-01T14:30:05Z",
            "+024",
            "0000",
            "2024-",
        ];
        for text in wrong {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn an_image_that_does_not_know_does_not_pass() {
        let unknown = record(None, None);
        let near = Near { centre: Position::new(0.0, 0.0).unwrap(), radius_km: 30_000.0 };
        for capture in [
            Capture { after: moment("0001"), ..Capture::default() },
            Capture { before: moment("9999"), ..Capture::default() },
            Capture { near: Some(near), ..Capture::default() },
        ] {
            assert!(!capture.passes(&unknown), "{capture:?}");
        }
        assert!(Capture::default().passes(&unknown));
    }

    #[test]
    fn a_circle_ends_at_its_radius() {
        let place = |latitude, longitude| Position::new(latitude, longitude);
        let near = Near { centre: place(48.8566, 2.3522).unwrap(), radius_km: 344.0 };
        let capture = Capture { near: Some(near), ..Capture::default() };
        assert!(capture.passes(&record(None, place(51.5074, -0.1278))));
        assert!(!capture.passes(&record(None, place(51.5074, -0.2))));
    }
}
