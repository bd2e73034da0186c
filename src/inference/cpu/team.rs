//! Threads that work on one image together, in step.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Turns of spinning before a thread lets others run: about half a millisecond. Members that yield
/// sooner lose a slice of time at each barrier to whatever else wants their core: an image took
/// 150 ms instead of 5 beside one busy process.
const SPINS: usize = 50_000;

/// What the members of a team share.
pub(super) struct Team {
    size: usize,
    arrived: AtomicUsize,
    round: AtomicUsize,
    /// Set when a member has panicked, so that the others do not wait for it.
    broken: AtomicBool,
}

/// One member, as a step sees it.
#[derive(Clone, Copy)]
pub(super) struct Member<'a> {
    team: &'a Team,
    pub(super) index: usize,
}

impl Team {
    /// Runs `work` on `size` threads, this one included, and returns when all are done.
    ///
    /// The threads live for one image. To start one costs 20 to 40 microseconds; a pool of waiting
    /// threads would save them, but a member that another task keeps from starting would hold up
    /// all others at the first barrier.
    pub(super) fn run(size: usize, work: impl Fn(Member<'_>) + Sync) {
        let team = Self {
            size,
            arrived: AtomicUsize::new(0),
            round: AtomicUsize::new(0),
            broken: AtomicBool::new(false),
        };
        let team = &team;
        let guarded = |index| {
            let alarm = Alarm(&team.broken);
            work(Member { team, index });
            std::mem::forget(alarm);
        };
        let guarded = &guarded;
        std::thread::scope(|scope| {
            for index in 1..size {
                scope.spawn(move || guarded(index));
            }
            guarded(0);
        });
    }
}

/// Tells the team when it is dropped, which happens to a member that panics.
struct Alarm<'a>(&'a AtomicBool);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Member<'_> {
    /// Members of the team.
    pub(super) fn count(self) -> usize {
        self.team.size
    }

    /// Waits until every member has come here; what each wrote before, all see after.
    ///
    /// # Panics
    /// When another member has panicked.
    pub(super) fn wait(self) {
        let team = self.team;
        if team.size == 1 {
            return;
        }
        let round = team.round.load(Ordering::Relaxed);
        if team.arrived.fetch_add(1, Ordering::AcqRel) + 1 == team.size {
            team.arrived.store(0, Ordering::Relaxed);
            team.round.store(round.wrapping_add(1), Ordering::Release);
            return;
        }
        let mut turns = 0;
        while team.round.load(Ordering::Acquire) == round {
            assert!(!team.broken.load(Ordering::Acquire), "another member of the team panicked");
            turns += 1;
            if turns < SPINS {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }

    /// The share of `count` items that is this member's: neighbors, and as even as can be.
    pub(super) fn share(self, count: usize) -> std::ops::Range<usize> {
        let bound = |index: usize| count * index / self.team.size;
        bound(self.index)..bound(self.index + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_items_once() {
        for size in 1..5 {
            for count in [0, 1, 3, 10] {
                let seen: Vec<AtomicUsize> = (0..count).map(|_| AtomicUsize::new(0)).collect();
                Team::run(size, |member| {
                    for item in member.share(count) {
                        seen[item].fetch_add(1, Ordering::Relaxed);
                    }
                });
                assert!(seen.iter().all(|item| item.load(Ordering::Relaxed) == 1));
            }
        }
    }

    #[test]
    #[should_panic(expected = "panicked")]
    fn a_member_that_panics_does_not_leave_the_others_waiting() {
        Team::run(2, |member| {
            assert!(member.index == 0, "the first of the two panics");
            member.wait();
        });
    }

    #[test]
    fn nobody_passes_a_barrier_before_all_have_come() {
        let steps = AtomicUsize::new(0);
        Team::run(3, |member| {
            for round in 1..=100 {
                steps.fetch_add(1, Ordering::Relaxed);
                member.wait();
                assert!(steps.load(Ordering::Relaxed) >= 3 * round);
                member.wait();
            }
        });
    }
}
