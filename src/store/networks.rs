//! The spaces of content side by side: which of them serves, where the weights of each lie, and
//! removing one.
//!
//! Both are optional fields of the manifest, which programs that do not know them leave out: then
//! the network in the program serves, as it does where nothing was chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::{self, Kind};
use super::leftovers::delete;
use super::manifest::Manifest;
use super::roots::WrittenPath;
use super::{Store, StoreError, Writer};
use crate::record::{Location, Space, SpaceId};

/// Records removed in one transaction.
const BATCH_RECORDS: usize = 2_000;

/// What the manifest says of networks. Spaces are named by their digests in hexadecimal.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Networks {
    /// The space that serves; absent for that of the network in the program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    serving: Option<String>,
    /// Where the weights were read from that filled a space.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    weights: BTreeMap<String, WrittenPath>,
}

/// A network whose embeddings of whole images a database holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredNetwork {
    /// What its embeddings are.
    pub space: Space,
    /// Its weights file; absent for the network in the program.
    pub weights: Option<PathBuf>,
    /// Whether it was chosen to serve.
    pub serves: bool,
}

/// How full the space of a network is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceStats {
    /// The network.
    pub network: StoredNetwork,
    /// Images that have an embedding by it.
    pub embedded: u64,
    /// Images of the database.
    pub images: u64,
}

/// The networks of a database directory, the oldest first; none where there is no database.
///
/// Reads the manifest alone, and does not wait for a process that has the database open.
///
/// # Errors
/// [`StoreError::Manifest`]; [`StoreError::NewerFormat`]; [`StoreError::Io`].
pub fn networks(directory: &Path) -> Result<Vec<StoredNetwork>, StoreError> {
    Ok(Manifest::read(directory)?
        .map_or(Vec::new(), |manifest| manifest.stored_networks(directory)))
}

/// The network that was chosen to serve the searches of a database; `None` where none was, and the
/// network in the program serves.
///
/// # Errors
/// [`StoreError::UnknownServing`] when the database does not hold its embeddings any more; as for
/// [`networks`].
pub fn serving_network(directory: &Path) -> Result<Option<StoredNetwork>, StoreError> {
    let Some(manifest) = Manifest::read(directory)? else { return Ok(None) };
    let Some(digest) = &manifest.networks.serving else { return Ok(None) };
    let unknown = || StoreError::UnknownServing { digest: digest.clone() };
    let found = manifest.stored_networks(directory).into_iter().find(|network| network.serves);
    found.ok_or_else(unknown).map(Some)
}

impl Manifest {
    fn stored_networks(&self, directory: &Path) -> Vec<StoredNetwork> {
        let home = home_of(directory);
        let content = self.spaces.iter().filter(|space| space.is_content());
        let stored = content.map(|space| {
            let digest = digest_text(space);
            let weights = self.networks.weights.get(&digest).cloned();
            StoredNetwork {
                space: space.clone(),
                weights: weights.map(|path| Location::from(path).to_path(&home)),
                serves: self.networks.serving.as_ref() == Some(&digest),
            }
        });
        stored.collect()
    }
}

impl Store {
    /// Makes a space serve searches from now on, or the network in the program; atomic and durable.
    ///
    /// # Errors
    /// [`StoreError::Io`], and then nothing has changed.
    pub fn set_serving(&self, space: Option<&Space>) -> Result<(), StoreError> {
        self.change_networks(|networks| networks.serving = space.map(digest_text))
    }

    /// Notes where the weights of a space lie; relative to the home if below it.
    ///
    /// # Errors
    /// As for [`Store::set_serving`].
    pub fn set_weights(&self, space: &Space, path: &Path) -> Result<(), StoreError> {
        let path = Location::of(path, &home_of(self.directory()));
        let path = WrittenPath::from(&path);
        self.change_networks(|networks| drop(networks.weights.insert(digest_text(space), path)))
    }

    /// How full the space of each network is, the oldest first.
    ///
    /// Costs one pass over the records of embeddings, not over the embeddings.
    ///
    /// # Errors
    /// As for [`Store::spaces`].
    pub fn space_stats(&self) -> Result<Vec<SpaceStats>, StoreError> {
        let manifest = self.manifest();
        let images = manifest.counts.images;
        let ids: Vec<(SpaceId, Space)> = self.spaces()?;
        let mut stats = Vec::new();
        for network in manifest.stored_networks(&self.directory) {
            let mut embedded = 0;
            for (id, _) in ids.iter().filter(|(_, space)| *space == network.space) {
                for image in self.embedded_images(*id) {
                    image?;
                    embedded += 1;
                }
            }
            stats.push(SpaceStats { network, embedded, images });
        }
        Ok(stats)
    }

    /// Removes a space with all its embeddings and detections, and gives how many records that were.
    ///
    /// Killed in between, it leaves a part of them; the next call removes the rest.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub fn remove_space(&self, id: SpaceId, space: &Space) -> Result<u64, StoreError> {
        let mut removed = 0;
        for kind in [Kind::Slot, Kind::Detections, Kind::Object] {
            let is_own = |key: &Vec<u8>| keys::read_space(key) == Some(id);
            let keys: Vec<Vec<u8>> = self
                .keys(kind)
                .filter(|key| key.as_ref().map_or(true, is_own))
                .collect::<Result<_, _>>()?;
            removed += keys.len() as u64;
            for batch in keys.chunks(BATCH_RECORDS) {
                self.write(|writer| batch.iter().try_for_each(|key| writer.remove(key.clone())))?;
            }
        }
        self.write(|writer: &mut Writer<'_>| writer.remove(keys::space(id)))?;
        self.delete_orphaned_segments()?;
        self.change_networks(|networks| {
            let digest = digest_text(space);
            networks.weights.remove(&digest);
            networks.serving.take_if(|serving| *serving == digest);
        })?;
        Ok(removed)
    }

    /// Deletes the files of embeddings whose space has no record: its removal was killed.
    ///
    /// # Errors
    /// [`StoreError::Io`]; as for [`Store::spaces`].
    pub(super) fn delete_orphaned_segments(&self) -> Result<(), StoreError> {
        let known: BTreeSet<SpaceId> = self.spaces()?.into_iter().map(|(id, _)| id).collect();
        let orphans = self.segments.forget_all_but(&known)?;
        if orphans.is_empty() {
            return Ok(());
        }
        // First the manifest, which counts what is in each file that it knows.
        let mut committed = self.committed();
        committed.manifest.slots = self.segments.counts();
        committed.manifest.write(&self.directory)?;
        orphans.iter().try_for_each(|path| delete(path))
    }

    fn change_networks(&self, change: impl FnOnce(&mut Networks)) -> Result<(), StoreError> {
        let mut committed = self.committed();
        let mut manifest = committed.manifest.clone();
        change(&mut manifest.networks);
        if manifest != committed.manifest {
            manifest.write(&self.directory)?;
            committed.manifest = manifest;
        }
        Ok(())
    }
}

fn digest_text(space: &Space) -> String {
    blake3::Hash::from_bytes(space.digest()).to_hex().to_string()
}

/// The folder that holds a database directory.
fn home_of(directory: &Path) -> PathBuf {
    let directory = directory.canonicalize().unwrap_or_else(|_| directory.to_owned());
    directory.parent().map_or(directory.clone(), Path::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::ImageId;
    use crate::vector::Embedding;

    fn space(model: &str) -> Space {
        Space {
            name: "content".to_owned(),
            model: model.to_owned(),
            weights_digest: String::new(),
            preprocessing: String::new(),
            dimension: 2,
        }
    }

    fn filled(folder: &Path) -> (Store, [(SpaceId, Space); 2]) {
        let store = Store::create(folder).unwrap();
        let embedding = Embedding::normalize(vec![1.0, 0.0]).unwrap();
        let spaces = ["a", "b"].map(|model| {
            let space = space(model);
            let fill = |writer: &mut Writer<'_>| -> Result<SpaceId, StoreError> {
                let id = writer.add_space(&space)?;
                for image in 1..=3 {
                    writer.put_embedding(id, ImageId(image), &embedding)?;
                }
                Ok(id)
            };
            (store.write(fill).unwrap(), space)
        });
        (store, spaces)
    }

    #[test]
    fn the_choice_and_the_weights_survive_closing_backup_and_compaction() {
        let outer = tempfile::tempdir().unwrap();
        let home = outer.path().canonicalize().unwrap();
        let folder = home.join("db");
        let (store, [_, (_, b)]) = filled(&folder);
        assert!(serving_network(&folder).unwrap().is_none());
        store.set_serving(Some(&b)).unwrap();
        store.set_weights(&b, &home.join("b.safetensors")).unwrap();
        store.backup(&home.join("copies/copy"), &|_, _| ()).unwrap();
        store.finish().unwrap();
        crate::store::compact(&folder, &|_, _| ()).unwrap();
        for directory in [folder, home.join("copies/copy")] {
            let chosen = serving_network(&directory).unwrap().unwrap();
            assert_eq!(chosen.space, b);
            let beside = directory.parent().unwrap();
            assert_eq!(chosen.weights, Some(beside.join("b.safetensors")));
            assert_eq!(networks(&directory).unwrap().len(), 2);
        }
    }

    #[test]
    fn a_removed_space_takes_its_records_and_its_file_along_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let (store, [(first, a), (second, b)]) = filled(folder.path());
        store.set_serving(Some(&a)).unwrap();
        assert_eq!(store.remove_space(first, &a).unwrap(), 3);
        assert!(serving_network(folder.path()).unwrap().is_none());
        assert_eq!(store.embedded_images(first).count(), 0);
        assert_eq!(store.manifest().counts.embeddings, 3);
        store.finish().unwrap();
        assert!(!folder.path().join("embeddings-1/1").exists());
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.spaces().unwrap(), [(second, b)]);
        assert_eq!(store.embeddings(second).map(Result::unwrap).count(), 3);
        // Numbers are not given again.
        assert_eq!(store.write(|writer| writer.add_space(&a)).unwrap(), SpaceId(3));
    }

    #[test]
    fn the_file_of_a_removal_that_was_killed_is_deleted_at_the_next_opening() {
        let folder = tempfile::tempdir().unwrap();
        let (store, [(first, _), _]) = filled(folder.path());
        let keys: Vec<_> = store.keys(Kind::Slot).map(Result::unwrap).collect();
        store
            .write(|writer| {
                let own = keys.iter().filter(|key| keys::read_space(key) == Some(first));
                own.cloned().try_for_each(|key| writer.remove(key))?;
                writer.remove(keys::space(first))
            })
            .unwrap();
        store.finish().unwrap();
        let file = folder.path().join("embeddings-1/1");
        assert!(file.exists());
        let store = Store::open(folder.path()).unwrap();
        assert!(!file.exists());
        assert_eq!(store.count_records().unwrap().embeddings, 3);
    }

    #[test]
    fn a_choice_that_is_not_in_the_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = filled(folder.path());
        store.set_serving(Some(&space("c"))).unwrap();
        let error = serving_network(folder.path()).unwrap_err();
        assert!(matches!(error, StoreError::UnknownServing { .. }), "{error}");
        assert!(error.to_string().contains("models use"));
    }
}
