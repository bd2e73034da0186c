//! What the user said of images, in the journal and in the store.

use super::{DistinctEntry, JournalEntry, LabelEntry, Store, StoreError, Writer};

impl Store {
    /// Keeps what the user said of images: first in the journal, then in the store.
    ///
    /// # Errors
    /// As for [`Store::write`].
    pub fn decide(&self, entries: &[JournalEntry]) -> Result<(), StoreError> {
        let end = self.journal.append(entries)?;
        self.write(|writer| apply_decisions(writer, entries, end))
    }

    /// Applies decisions that reached the journal and not the store.
    pub(super) fn catch_up_with_journal(&self) -> Result<(), StoreError> {
        let from = self.committed().state.journal_bytes;
        let replay = self.journal.replay(from)?;
        if replay.end == from {
            return Ok(());
        }
        self.write(|writer| apply_decisions(writer, &replay.entries, replay.end))
    }

    /// Whether decisions in the store are not in the journal any more.
    pub(super) fn journal_has_lost(&self) -> Result<bool, StoreError> {
        let whole = self.journal.replay(0)?;
        Ok(whole.damaged_lines > 0 || whole.end < self.committed().state.journal_bytes)
    }

    /// Writes the journal anew from the decisions in the store.
    pub(super) fn rewrite_journal(&self) -> Result<(), StoreError> {
        let labels = self.labels().map(|entry| {
            entry
                .map(|(image, label)| JournalEntry::Label(LabelEntry { image, label: Some(label) }))
        });
        let distinct = self.distinct().map(|entry| {
            entry.map(|not_same| JournalEntry::Distinct(DistinctEntry { not_same, holds: true }))
        });
        let end = self.journal.replace(&labels.chain(distinct).collect::<Result<Vec<_>, _>>()?)?;
        self.write(|writer| {
            writer.state.journal_bytes = end;
            Ok(())
        })
    }
}

/// Puts decisions into the store, which then reflects the journal up to an offset.
pub(super) fn apply_decisions(
    writer: &mut Writer<'_>,
    entries: &[JournalEntry],
    journal_end: u64,
) -> Result<(), StoreError> {
    for entry in entries {
        match entry {
            JournalEntry::Label(entry) => writer.put_label(&entry.image, entry.label.as_deref())?,
            JournalEntry::Distinct(entry) => {
                let [first, second] = &entry.not_same;
                writer.put_distinct([first, second], entry.holds)?;
            }
        }
    }
    writer.state.journal_bytes = journal_end;
    Ok(())
}
