//! After a complete scan: which known files are gone.

use super::report::IngestReport;
use super::scan::Scan;
use super::{IngestError, Target};
use crate::record::{ImageId, Location, LocationRecord, LocationState};

/// Locations changed in one transaction.
const BATCH_LOCATIONS: usize = 2_000;

/// Marks known locations that a complete scan did not see.
///
/// An image that is left without any file is kept, its location marked missing;
/// a location whose image lies elsewhere too, or that never held one, is forgotten.
///
/// # Errors
/// Those of the store.
pub(super) fn settle(
    target: Target<'_>,
    scan: &Scan,
    report: &mut IngestReport,
) -> Result<(), IngestError> {
    if !scan.complete || report.interrupted {
        return Ok(());
    }
    let gone = unseen(target, scan, report)?;
    for batch in gone.chunks(BATCH_LOCATIONS) {
        target.store.write(|writer| {
            for (location, record) in batch {
                match &record.state {
                    LocationState::Present(id) if is_last(target, *id, location)? => {
                        let state = LocationState::Missing(*id);
                        writer.put_location(location, &LocationRecord { state, ..*record })?;
                    }
                    _ => writer.remove_location(location)?,
                }
            }
            Ok::<(), IngestError>(())
        })?;
    }
    report.missing +=
        gone.iter().filter(|(_, record)| matches!(record.state, LocationState::Present(_))).count()
            as u64;
    Ok(())
}

/// Known locations in the scanned folders that the scan did not see.
fn unseen(
    target: Target<'_>,
    scan: &Scan,
    report: &mut IngestReport,
) -> Result<Vec<(Location, LocationRecord)>, IngestError> {
    let mut gone = Vec::new();
    let mut offline: Vec<&Location> = Vec::new();
    for entry in target.store.locations() {
        let (location, record) = entry?;
        let Some((folder, any_image)) =
            scan.folders.iter().find(|(folder, _)| location.is_under(folder))
        else {
            continue;
        };
        let listed = !scan.unreadable.iter().any(|place| location.is_under(place));
        if matches!(record.state, LocationState::Missing(_))
            || scan.seen.contains(&Scan::digest(&location))
            || !listed
        {
            continue;
        }
        if *any_image {
            gone.push((location, record));
        } else if !offline.contains(&folder) {
            offline.push(folder);
        }
    }
    report.offline = offline.into_iter().map(|folder| folder.to_path(target.home)).collect();
    Ok(gone)
}

/// Whether no other file is known to hold the image.
fn is_last(target: Target<'_>, id: ImageId, location: &Location) -> Result<bool, IngestError> {
    let others = target.store.locations_of(id)?;
    Ok(!others
        .iter()
        .any(|other| other != location && other.to_path(target.home).symlink_metadata().is_ok()))
}
