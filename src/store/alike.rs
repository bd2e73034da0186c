//! Files that are called alike: the raw file and the image of one shot lie side by side.

use super::{Store, StoreError, codec, engine, keys};
use crate::record::{Location, LocationRecord};

impl Store {
    /// The locations in a folder that are called `name`, with any extension or none, in large or
    /// small ASCII letters.
    ///
    /// `folder` ends with a slash, or is empty. Costs about two look-ups for each letter of the
    /// name, however many files the folder has.
    ///
    /// # Errors
    /// As for [`Store::image`].
    pub fn locations_alike(
        &self,
        folder: &[u8],
        name: &[u8],
    ) -> Result<Vec<(Location, LocationRecord)>, StoreError> {
        let folder = Location::from_bytes(folder.to_vec());
        let mut beginnings = vec![keys::location(&folder)];
        for byte in name {
            let (small, large) = (byte.to_ascii_lowercase(), byte.to_ascii_uppercase());
            let mut longer = Vec::new();
            for beginning in beginnings {
                let variants: &[u8] = if small == large { &[small] } else { &[large, small] };
                for variant in variants {
                    let key = [beginning.as_slice(), &[*variant]].concat();
                    if self.begins_a_key(&key)? {
                        longer.push(key);
                    }
                }
            }
            beginnings = longer;
        }
        let mut found = Vec::new();
        for key in beginnings {
            if let Some(record) = self.get(&key)? {
                let location = keys::read_location(&key).ok_or_else(|| codec::damaged(&key))?;
                found.push((location, record));
            }
            let with_extension = [key.as_slice(), b"."].concat();
            for entry in self.scan(with_extension, |key, value| {
                Some((keys::read_location(key)?, codec::decode(key, value)))
            }) {
                found.push(entry?);
            }
        }
        Ok(found)
    }

    fn begins_a_key(&self, beginning: &[u8]) -> Result<bool, StoreError> {
        match self.db().range(beginning..).next() {
            Some(entry) => Ok(entry.map_err(engine("read"))?.0.starts_with(beginning)),
            None => Ok(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{FileStamp, LocationState};

    #[test]
    fn names_in_any_case_and_with_any_extension_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::create(&folder.path().join("db")).unwrap();
        let paths = [
            "a/IMG_1.CR2",
            "a/img_1.jpg",
            "a/Img_1",
            "a/IMG_1.x.png",
            "a/IMG_10.jpg",
            "a/IMG_2.jpg",
            "A/IMG_1.jpg",
            "IMG_1.jpg",
            "a/b/IMG_1.jpg",
        ];
        store
            .write(|writer| {
                for path in paths {
                    let stamp = FileStamp { size_bytes: 1, modified_ns: 1 };
                    let state = LocationState::Failed { reason: String::new(), reader_version: 1 };
                    let location = Location::from_bytes(path.into());
                    writer.put_location(&location, &LocationRecord { state, stamp })?;
                }
                Ok::<(), StoreError>(())
            })
            .unwrap();
        let names = |folder: &str, name: &str| -> Vec<String> {
            let found = store.locations_alike(folder.as_bytes(), name.as_bytes()).unwrap();
            found.into_iter().map(|(location, _)| location.to_string()).collect()
        };
        let expected = ["a/IMG_1.CR2", "a/IMG_1.x.png", "a/Img_1", "a/img_1.jpg"];
        assert_eq!(names("a/", "iMg_1"), expected);
        assert_eq!(names("", "img_1"), ["IMG_1.jpg"]);
        assert_eq!(names("a/", "img_3"), [""; 0]);
    }
}
