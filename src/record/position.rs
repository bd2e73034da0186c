//! Where on Earth a photo was taken.

use serde::{Deserialize, Serialize};

/// Mean radius of the Earth; with it, great circles are right to half a percent.
const EARTH_RADIUS_KM: f64 = 6371.0;

/// A place on Earth, in degrees of WGS 84.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Position {
    /// North of the equator, -90 to 90.
    pub latitude: f64,
    /// East of Greenwich, -180 to 180.
    pub longitude: f64,
}

impl Position {
    /// Takes degrees; `None` for what is no place.
    ///
    /// # Examples
    /// ```
    /// use lookalike::record::Position;
    ///
    /// let paris = Position::new(48.8566, 2.3522).unwrap();
    /// let london = Position::new(51.5074, -0.1278).unwrap();
    /// assert_eq!(paris.distance_km(&london).round(), 344.0);
    /// assert_eq!(Position::new(91.0, 0.0), None);
    /// ```
    pub fn new(latitude: f64, longitude: f64) -> Option<Self> {
        let is_place = latitude.abs() <= 90.0 && longitude.abs() <= 180.0;
        is_place.then_some(Self { latitude, longitude })
    }

    /// The distance along the great circle, by the haversine formula.
    pub fn distance_km(&self, other: &Self) -> f64 {
        let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
        let (here, there) = (self.latitude.to_radians(), other.latitude.to_radians());
        let chord = half(self.latitude, other.latitude)
            + here.cos() * there.cos() * half(self.longitude, other.longitude);
        2.0 * EARTH_RADIUS_KM * chord.min(1.0).sqrt().asin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_right_across_the_date_line_and_at_the_poles() {
        let position = |latitude, longitude| Position::new(latitude, longitude).unwrap();
        let quarter = std::f64::consts::FRAC_PI_2 * EARTH_RADIUS_KM;
        let cases = [
            (position(0.0, 179.5), position(0.0, -179.5), quarter / 90.0),
            (position(90.0, 10.0), position(90.0, -120.0), 0.0),
            (position(-90.0, 0.0), position(0.0, 55.0), quarter),
            (position(12.0, 34.0), position(-12.0, -146.0), 2.0 * quarter),
        ];
        for (from, to, expected) in cases {
            let found = from.distance_km(&to);
            assert!((found - expected).abs() < 1e-3, "{from:?} {to:?}: {found} km");
        }
    }

    #[test]
    fn what_is_no_place_is_none() {
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.1), (f64::NAN, 0.0), (0.0, f64::NAN)]
        {
            assert_eq!(Position::new(latitude, longitude), None);
        }
    }
}
