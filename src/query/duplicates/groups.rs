//! Groups around the image to keep.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{KeepRules, Pair, Tier};
use crate::imaging::Alignment;
use crate::query::Row;
use crate::record::{Fingerprint, ImageId, Location};

/// The duplicates of a database.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Duplicates {
    /// Groups, the most certain first, each with at least two files.
    pub groups: Vec<DuplicateGroup>,
    /// Images that could not be compared, because `index` has not taken their fingerprints yet.
    pub without_fingerprint: u64,
}

/// Files that are the same in some way.
#[derive(Clone, Debug, PartialEq)]
pub struct DuplicateGroup {
    /// The least certain kind among its members.
    pub tier: Tier,
    /// The file that is suggested to be kept.
    pub keep: (ImageId, Location),
    /// The others, the most certain first.
    pub others: Vec<Duplicate>,
}

/// A file that is the same as the one to keep.
#[derive(Clone, Debug, PartialEq)]
pub struct Duplicate {
    /// Its image: the one to keep itself, where the bytes are the same.
    pub id: ImageId,
    /// Where it lies.
    pub location: Location,
    /// In what way it is the same as the file to keep.
    pub tier: Tier,
    /// How they lie over each other, where that was found out.
    pub alignment: Option<Alignment>,
    /// Cosine similarity of their embeddings, where they are among each other's nearest.
    pub score: Option<f32>,
    /// Why the other one is kept; absent where nothing speaks for either.
    pub reason: Option<&'static str>,
}

/// Puts images together around the one that most of them are copies or edits of, which each was
/// compared with; each image is in one group at most. Of that one and its whole copies the rules
/// choose which to keep, and any image in a folder to keep goes before them.
pub fn group(
    rows: &[&Row],
    fingerprints: &HashMap<ImageId, Fingerprint>,
    pairs: &[Pair],
    rules: &KeepRules,
    up_to: Tier,
) -> Vec<DuplicateGroup> {
    let grouping = Grouping {
        rules,
        fingerprints,
        // Files that are missing are nobody's duplicates.
        rows: rows
            .iter()
            .filter(|row| !row.locations.is_empty())
            .map(|row| (row.id, *row))
            .collect(),
        pairs: pairs
            .iter()
            .filter(|pair| pair.tier <= up_to)
            .flat_map(|pair| [(pair.images, pair), ([pair.images[1], pair.images[0]], pair)])
            .collect(),
    };
    let mut groups = grouping.groups();
    groups.sort_by(|a, b| (a.tier, &a.keep.1).cmp(&(b.tier, &b.keep.1)));
    groups
}

struct Grouping<'a> {
    rules: &'a KeepRules,
    fingerprints: &'a HashMap<ImageId, Fingerprint>,
    rows: BTreeMap<ImageId, &'a Row>,
    /// In both directions.
    pairs: BTreeMap<[ImageId; 2], &'a Pair>,
}

impl<'a> Grouping<'a> {
    fn groups(&self) -> Vec<DuplicateGroup> {
        let mut partners: BTreeMap<ImageId, BTreeSet<ImageId>> = BTreeMap::new();
        for [a, b] in self.pairs.keys() {
            if self.rows.contains_key(a) && self.rows.contains_key(b) {
                partners.entry(*a).or_default().insert(*b);
            }
        }
        let mut groups = Vec::new();
        let mut grouped = BTreeSet::new();
        // The largest groups first; images leave the others as they go.
        while let Some(hub) = self.next_hub(&partners) {
            let members = partners.remove(&hub).unwrap_or_default();
            for id in members.iter().chain([&hub]) {
                partners.remove(id);
                grouped.insert(*id);
            }
            for others in partners.values_mut() {
                others.retain(|other| !grouped.contains(other));
            }
            partners.retain(|_, others| !others.is_empty());
            groups.extend(self.describe(hub, &members));
        }
        let alone = self.rows.keys().filter(|id| !grouped.contains(id));
        groups.extend(alone.filter_map(|id| self.describe(*id, &BTreeSet::new())));
        groups
    }

    /// The image with the most partners, among equals the one to keep.
    fn next_hub(&self, partners: &BTreeMap<ImageId, BTreeSet<ImageId>>) -> Option<ImageId> {
        let most = partners.values().map(BTreeSet::len).max()?;
        let hubs = partners.iter().filter(|(_, others)| others.len() == most);
        hubs.map(|(id, _)| *id).min_by(|a, b| self.prefer(*a, *b).0)
    }

    fn prefer(&self, a: ImageId, b: ImageId) -> (Ordering, Option<&'static str>) {
        let contender = |id: ImageId| (self.rows[&id], self.fingerprints.get(&id));
        self.rules.prefer(contender(a), contender(b))
    }

    /// `None` for a single file.
    fn describe(&self, hub: ImageId, members: &BTreeSet<ImageId>) -> Option<DuplicateGroup> {
        let is_choice = |id: &ImageId| {
            let whole =
                self.pairs.get(&[hub, *id]).is_some_and(|pair| pair.tier <= Tier::Reencoded);
            *id == hub || whole || self.rules.is_in_folder(self.rows[id])
        };
        let all = || members.iter().copied().chain([hub]);
        let kept = all().filter(is_choice).min_by(|a, b| self.prefer(*a, *b).0)?;
        let mut files: Vec<&Location> = self.rows[&kept].locations.iter().collect();
        files.sort_by(|a, b| self.rules.prefer_file(a, b));
        let copies = files.get(1..)?.iter().map(|file| Duplicate {
            id: kept,
            location: (*file).clone(),
            tier: Tier::SameBytes,
            alignment: None,
            score: Some(1.0),
            reason: None,
        });
        let mut others: Vec<Duplicate> = copies.collect();
        for id in all().filter(|id| *id != kept) {
            let (tier, alignment, score) = match self.pairs.get(&[kept, id]) {
                Some(pair) => (pair.tier, pair.alignment, pair.score),
                // Both were compared with the hub, and are no closer than the farther one.
                None => {
                    let tier = |other: ImageId| self.pairs.get(&[hub, other]).map(|pair| pair.tier);
                    (tier(kept)?.max(tier(id)?), None, None)
                }
            };
            let reason = match self.prefer(kept, id) {
                (Ordering::Less, reason) => reason,
                _ => Some("the others are edits of it"),
            };
            others.extend(self.rows[&id].locations.iter().map(|location| Duplicate {
                id,
                location: location.clone(),
                tier,
                alignment,
                score,
                reason,
            }));
        }
        others.sort_by(|a, b| (a.tier, &a.location).cmp(&(b.tier, &b.location)));
        let tier = others.iter().map(|other| other.tier).max()?;
        Some(DuplicateGroup { tier, keep: (kept, files[0].clone()), others })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ContentHash, ImageRecord};

    /// An image with a file for each name and so many pixels.
    fn image(id: u64, width_px: u32, files: &[&str]) -> Row {
        let record = ImageRecord {
            hash: ContentHash::of(&id.to_le_bytes()),
            width_px,
            height_px: 1,
            size_bytes: 1,
            format: "JPEG".to_owned(),
            orientation: 1,
            captured_at: None,
            camera: None,
            classes: Vec::new(),
            position: None,
        };
        Row {
            id: ImageId(id),
            record,
            locations: files.iter().map(|name| Location::from_bytes((*name).into())).collect(),
            label: None,
            prediction: None,
            raws: Vec::new(),
            developed: None,
        }
    }

    fn pair(a: u64, b: u64, tier: Tier) -> Pair {
        Pair { images: [ImageId(a), ImageId(b)], tier, alignment: None, score: None }
    }

    fn grouped(rows: &[Row], pairs: &[Pair], rules: &KeepRules) -> Vec<(u64, Vec<u64>)> {
        let rows: Vec<&Row> = rows.iter().collect();
        let groups = group(&rows, &HashMap::new(), pairs, rules, Tier::Edited);
        let ids = |others: &[Duplicate]| others.iter().map(|other| other.id.0).collect();
        groups.iter().map(|group| (group.keep.0.0, ids(&group.others))).collect()
    }

    #[test]
    fn a_chain_does_not_join_its_ends() {
        let rows: Vec<Row> = (1..=5).map(|id| image(id, 10, &[&id.to_string()])).collect();
        let chain: Vec<Pair> = (1..=4).map(|id| pair(id, id + 1, Tier::Edited)).collect();
        let found = grouped(&rows, &chain, &KeepRules::default());
        assert_eq!(found, [(2, vec![1, 3]), (4, vec![5])]);
    }

    #[test]
    fn the_hub_is_kept_unless_a_whole_copy_of_it_is_better_or_a_folder_wants_another() {
        let rows = [
            image(1, 10, &["a"]),
            image(2, 40, &["b"]),
            image(3, 90, &["keep/c"]),
            image(4, 5, &["d"]),
        ];
        let pairs =
            [pair(1, 2, Tier::Reencoded), pair(1, 3, Tier::Edited), pair(1, 4, Tier::Edited)];
        // The third has more pixels, but is an edit; the second is the first with more pixels.
        assert_eq!(grouped(&rows, &pairs, &KeepRules::default()), [(2, vec![1, 4, 3])]);
        let folder = KeepRules { folders: vec![Location::from_bytes(b"keep".to_vec())] };
        assert_eq!(grouped(&rows, &pairs, &folder), [(3, vec![1, 2, 4])]);
    }

    #[test]
    fn files_of_one_image_are_a_group_and_missing_files_are_in_none() {
        let rows = [image(1, 10, &["x/a.jpg", "a.jpg"]), image(2, 10, &[]), image(3, 10, &["c"])];
        let pairs = [pair(1, 2, Tier::Reencoded), pair(2, 3, Tier::Reencoded)];
        let found: Vec<&Row> = rows.iter().collect();
        let groups = group(&found, &HashMap::new(), &pairs, &KeepRules::default(), Tier::Edited);
        assert_eq!(groups.len(), 1);
        assert_eq!(groups[0].keep.1.as_bytes(), b"a.jpg");
        assert_eq!((groups[0].tier, groups[0].others.len()), (Tier::SameBytes, 1));
        assert_eq!(group(&[], &HashMap::new(), &[], &KeepRules::default(), Tier::Edited), []);
    }
}
