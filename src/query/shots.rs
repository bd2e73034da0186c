//! Raw files and the images developed from them: two files of one shot.
//!
//! They are one shot when they lie in one folder, are called the same but for the extension, and
//! say that they were captured at the same time. Whoever keeps both thinks of one photo.

use std::collections::HashMap;

use super::Row;
use crate::imaging::ImageFormat;
use crate::record::{ImageRecord, Location};

/// Notes of each raw file which image shows its shot, and of that image which its raw files are.
///
/// Costs one pass, and a second one when there are raw files.
pub(super) fn pair(rows: &mut [Row]) {
    let mut raws: HashMap<(Vec<u8>, &str), Vec<usize>> = HashMap::new();
    for (index, row) in rows.iter().enumerate().filter(|(_, row)| is_raw(&row.record)) {
        for key in keys(row) {
            raws.entry(key).or_default().push(index);
        }
    }
    let mut pairs = Vec::new();
    if !raws.is_empty() {
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| !is_raw(&row.record)) {
            let found = keys(row).filter_map(|key| raws.get(&key)).flatten();
            pairs.extend(found.map(|raw| (*raw, index)));
        }
    }
    for (raw, developed) in pairs {
        // Of several developed images the first one known shows the shot.
        if rows[raw].developed.is_none() {
            rows[raw].developed = Some(rows[developed].id);
            let raw_id = rows[raw].id;
            rows[developed].raws.push(raw_id);
        }
    }
}

/// Whether an image is what a camera's sensor saw, not developed yet.
pub(super) fn is_raw(record: &ImageRecord) -> bool {
    record.format == ImageFormat::Raw.name()
}

/// What the files of a shot have in common; nothing for an image without a capture time.
fn keys(row: &Row) -> impl Iterator<Item = (Vec<u8>, &str)> {
    let time = row.record.captured_at.as_deref();
    row.locations.iter().filter_map(move |location| {
        let (folder, name) = stem(location);
        // Cameras write large letters, programs small ones.
        Some(([folder, &name.to_ascii_lowercase()].concat(), time?))
    })
}

/// Whether two files are called the same but for the extension and the case of letters.
pub(super) fn is_same_stem(one: &Location, other: &Location) -> bool {
    let (one, other) = (stem(one), stem(other));
    one.0 == other.0 && one.1.eq_ignore_ascii_case(other.1)
}

/// The folder of a path with its slash, and the name without its extension.
pub(super) fn stem(location: &Location) -> (&[u8], &[u8]) {
    let path = location.as_bytes();
    let name = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
    let end = path.iter().rposition(|byte| *byte == b'.').filter(|dot| *dot > name);
    let (folder, name) = path[..end.unwrap_or(path.len())].split_at(name);
    (folder, name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ContentHash, ImageId};

    fn row(id: u64, path: &str, format: ImageFormat, captured_at: Option<&str>) -> Row {
        Row {
            id: ImageId(id),
            record: ImageRecord {
                hash: ContentHash::of(path.as_bytes()),
                width_px: 1,
                height_px: 1,
                size_bytes: 1,
                format: format.name().to_owned(),
                orientation: 1,
                captured_at: captured_at.map(str::to_owned),
                camera: None,
                classes: Vec::new(),
                position: None,
            },
            locations: vec![Location::from_bytes(path.into())],
            label: None,
            prediction: None,
            raws: Vec::new(),
            developed: None,
        }
    }

    #[test]
    fn a_raw_file_and_its_image_are_paired_by_folder_name_and_time() {
        let (then, later) = (Some("2024-05-06T07:08:09"), Some("2024-05-06T07:08:10"));
        let mut rows = vec![
            row(1, "a/IMG_1.CR2", ImageFormat::Raw, then),
            row(2, "a/img_1.jpg", ImageFormat::Jpeg, then),
            row(3, "a/IMG_1.png", ImageFormat::Png, then),
            row(4, "b/IMG_1.jpg", ImageFormat::Jpeg, then),
            row(5, "a/IMG_2.CR2", ImageFormat::Raw, then),
            row(6, "a/IMG_2.jpg", ImageFormat::Jpeg, later),
            row(7, "a/IMG_3.CR2", ImageFormat::Raw, None),
            row(8, "a/IMG_3.jpg", ImageFormat::Jpeg, None),
            row(9, "a/IMG_1.DNG", ImageFormat::Raw, then),
        ];
        pair(&mut rows);
        let developed: Vec<Option<u64>> =
            rows.iter().map(|row| row.developed.map(|id| id.0)).collect();
        assert_eq!(developed, [Some(2), None, None, None, None, None, None, None, Some(2)]);
        assert_eq!(rows[1].raws, [ImageId(1), ImageId(9)]);
        assert!(rows.iter().enumerate().all(|(index, row)| index == 1 || row.raws.is_empty()));
    }

    #[test]
    fn the_dot_of_a_folder_or_of_a_hidden_file_begins_no_extension() {
        let stem = |path: &str| {
            let location = Location::from_bytes(path.into());
            let (folder, name) = stem(&location);
            [folder, name].map(|part| String::from_utf8(part.to_vec()).unwrap())
        };
        assert_eq!(stem("a.b/IMG"), ["a.b/", "IMG"]);
        assert_eq!(stem("a.b/.hidden"), ["a.b/", ".hidden"]);
        assert_eq!(stem("a.b/IMG.x.CR2"), ["a.b/", "IMG.x"]);
        assert_eq!(stem("IMG.CR2"), ["", "IMG"]);
    }
}
