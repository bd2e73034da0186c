//! After a complete scan: which known files are gone.

use super::report::IngestReport;
use super::scan::Scan;
use super::{FileState, IngestError, Reach, Target};
use crate::record::{ImageId, Location, LocationRecord, LocationState};

/// Locations changed in one transaction.
const BATCH_LOCATIONS: usize = 2_000;

/// Marks known locations that a complete scan did not see, but for those offline.
///
/// An image that is left without any file is kept, its location marked missing;
/// a location whose image lies elsewhere too, or that never held one, is forgotten.
///
/// # Errors
/// Those of the store.
pub(super) fn settle(
    target: Target<'_>,
    scan: &Scan,
    reach: &Reach,
    report: &mut IngestReport,
) -> Result<(), IngestError> {
    if !scan.complete || report.interrupted {
        return Ok(());
    }
    let gone = unseen(target, scan, reach, report)?;
    for batch in gone.chunks(BATCH_LOCATIONS) {
        target.store.write(|writer| {
            for (location, record) in batch {
                match &record.state {
                    LocationState::Present(id) if is_last(target, reach, *id, location)? => {
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
    reach: &Reach,
    report: &mut IngestReport,
) -> Result<Vec<(Location, LocationRecord)>, IngestError> {
    let mut gone = Vec::new();
    for entry in target.store.locations() {
        let (location, record) = entry?;
        let path = location.to_path(target.home);
        let Some(folder) = scan.folders.iter().find(|folder| path.starts_with(&folder.path)) else {
            continue;
        };
        let listed = !scan.unreadable.iter().any(|place| location.is_under(place));
        if matches!(record.state, LocationState::Missing(_))
            || scan.seen.contains(&Scan::digest(&location))
            || !listed
        {
            continue;
        }
        // A drive can be pulled, and its folder left empty, at any moment before this one.
        let emptied = !folder.any_image && !target.store.directory().starts_with(&folder.path);
        let place = reach.offline_place(&path).or(emptied.then_some(folder.path.as_path()));
        match place {
            None => gone.push((location, record)),
            Some(place) if report.offline.iter().all(|known| known != place) => {
                report.offline.push(place.to_owned());
            }
            Some(_) => {}
        }
    }
    Ok(gone)
}

/// Whether no other file is known to hold the image. One that is offline may hold it.
fn is_last(
    target: Target<'_>,
    reach: &Reach,
    id: ImageId,
    location: &Location,
) -> Result<bool, IngestError> {
    let others = target.store.locations_of(id)?;
    let mut others = others.iter().filter(|other| *other != location);
    Ok(!others.any(|other| reach.file(&other.to_path(target.home)) != FileState::Gone))
}
