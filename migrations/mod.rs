//! Steps of the store's format, one file each; see `README.md` beside this file.

mod m0001_initial;
mod m0002_position;
mod m0003_objects;
mod m0004_segments;
mod m0005_fingerprints;

use crate::store::{StoreError, Writer};

/// One step from a format version to the next.
pub(crate) struct Migration {
    /// The format version after the step.
    pub(crate) to_version: u32,
    /// What it does, for the log.
    pub(crate) title: &'static str,
    /// Changes the records; runs in one transaction together with the version number. Leaves
    /// alone what is in the new format already: `repair` runs all steps over what it saved.
    pub(crate) apply: fn(&mut Writer<'_>) -> Result<(), StoreError>,
}

/// All steps, oldest first. The last one leads to `FORMAT_VERSION`.
pub(crate) const MIGRATIONS: &[Migration] = &[
    m0001_initial::MIGRATION,
    m0002_position::MIGRATION,
    m0003_objects::MIGRATION,
    m0004_segments::MIGRATION,
    m0005_fingerprints::MIGRATION,
];

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;
    use crate::store::FORMAT_VERSION;

    #[test]
    fn the_steps_lead_from_nothing_to_the_current_version_without_a_gap() {
        let versions: Vec<u32> = MIGRATIONS.iter().map(|step| step.to_version).collect();
        assert_eq!(versions, (1..=FORMAT_VERSION).collect::<Vec<_>>());
    }
}
