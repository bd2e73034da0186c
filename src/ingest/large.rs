//! Images that need more memory than all workers share: one at a time, and nobody waits for it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::pipeline::Job;

/// The turns for large images, and the jobs that wait for one.
#[derive(Default)]
pub(super) struct Large(Mutex<State>);

#[derive(Default)]
struct State {
    busy: bool,
    waiting: VecDeque<Job>,
}

/// The right to work on a large image. Whoever had it asks for [`Large::next`]
/// after giving it back: so no job is left waiting.
pub(super) struct Turn<'a>(&'a Large);

impl Large {
    /// Gives the turn, or puts the job aside while another has it.
    pub(super) fn turn_or_put_aside(&self, job: Job) -> Option<(Job, Turn<'_>)> {
        let mut state = self.state();
        if state.busy {
            state.waiting.push_back(job);
            return None;
        }
        state.busy = true;
        Some((job, Turn(self)))
    }

    /// Gives the job that waits longest with the turn for it, if it is to be had.
    pub(super) fn next(&self) -> Option<(Job, Turn<'_>)> {
        let mut state = self.state();
        if state.busy {
            return None;
        }
        let job = state.waiting.pop_front()?;
        state.busy = true;
        Some((job, Turn(self)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Whole between any two statements above.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.state().busy = false;
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::FoundFile;
    use super::*;
    use crate::record::{FileStamp, Location};

    fn job(name: &str) -> Job {
        let location = Location::from_bytes(name.as_bytes().to_vec());
        let stamp = FileStamp { size_bytes: 1, modified_ns: 1 };
        Job { number: 0, file: FoundFile { path: name.into(), location, stamp }, known: None }
    }

    #[test]
    fn one_has_the_turn_and_the_others_come_in_their_order() {
        let large = Large::default();
        let (first, turn) = large.turn_or_put_aside(job("a")).unwrap();
        assert_eq!(first.file.path.to_str(), Some("a"));
        assert!(large.turn_or_put_aside(job("b")).is_none());
        assert!(large.turn_or_put_aside(job("c")).is_none());
        assert!(large.next().is_none());
        drop(turn);
        for name in ["b", "c"] {
            let (next, _turn) = large.next().unwrap();
            assert_eq!(next.file.path.to_str(), Some(name));
            assert!(large.next().is_none());
        }
        assert!(large.next().is_none());
        assert!(large.turn_or_put_aside(job("d")).is_some());
    }
}
