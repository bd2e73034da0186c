//! A counting semaphore: how much of something is in use at a time, at most.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Units of something scarce, such as bytes of memory or cores.
pub(super) struct Permits {
    free: Mutex<u64>,
    freed: Condvar,
}

/// Units that are taken; dropping it gives them back.
pub(super) struct Permit<'a> {
    of: &'a Permits,
    units: u64,
}

impl Permits {
    pub(super) fn new(units: u64) -> Self {
        Self { free: Mutex::new(units), freed: Condvar::new() }
    }

    /// Waits until so many units are free, and takes them.
    ///
    /// Never returns for more units than there are.
    pub(super) fn take(&self, units: u64) -> Permit<'_> {
        let short = |free: &mut u64| *free < units;
        let free = self.freed.wait_while(self.free(), short);
        *free.unwrap_or_else(PoisonError::into_inner) -= units;
        Permit { of: self, units }
    }

    fn free(&self) -> MutexGuard<'_, u64> {
        // A number is whole at any moment, whoever panicked while holding it.
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        *self.of.free() += self.units;
        self.of.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn never_more_units_are_taken_than_there_are_and_all_come_back() {
        let permits = Permits::new(10);
        let (in_use, most) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (permits, in_use, most) = (&permits, &in_use, &most);
                scope.spawn(move || {
                    for round in 0..200 {
                        let units = 1 + (thread + round) % 7;
                        let _permit = permits.take(units);
                        let now = in_use.fetch_add(units, Ordering::SeqCst) + units;
                        most.fetch_max(now, Ordering::SeqCst);
                        std::thread::yield_now();
                        in_use.fetch_sub(units, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!(most.into_inner() <= 10);
        assert_eq!(*permits.free(), 10);
    }
}
