//! Runs sled where its panics and its hangs cannot take the program with them.
//!
//! sled 0.34.7 panics on some damaged files (`tried to serialize
//! Uninitialized`) and does not come back from others, so whatever reads files
//! that are not known to be whole runs on a thread of its own, with a limit.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use super::StoreError;

/// Name of the threads whose panics are turned into errors.
///
/// A program may leave the panics of this thread out of its output.
pub const GUARD_THREAD: &str = "lookalike-store-guard";

/// The time that a transaction may take: a disk that is woken up, or busy with much else.
const WRITE_LIMIT: Duration = Duration::from_secs(600);

/// The time that an operation on a store of this size may take: far above what
/// a slow disk needs (10 MB/s and half a minute), far below a user's patience.
pub(super) fn limit(size_bytes: u64) -> Duration {
    Duration::from_secs(30 + size_bytes / 10_000_000)
}

/// Runs `work` on the guard thread.
///
/// # Errors
/// [`StoreError::Damaged`] when it panics, [`StoreError::TimedOut`] when it
/// does not end within `limit`: the thread is then left behind.
pub(super) fn run<T: Send + 'static>(
    store: &Path,
    limit: Duration,
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let (sender, receiver) = mpsc::sync_channel(1);
    std::thread::Builder::new()
        .name(GUARD_THREAD.to_owned())
        .spawn(move || {
            // Whoever waited may have given up: then nobody needs the result.
            let _ = sender.send(catch_unwind(AssertUnwindSafe(work)));
        })
        .map_err(StoreError::io("start a thread for", store))?;
    match receiver.recv_timeout(limit) {
        Ok(Ok(result)) => result,
        Ok(Err(panic)) => Err(StoreError::Damaged {
            path: store.to_owned(),
            reason: format!("its engine gave up: {}", panic_text(&*panic)),
        }),
        Err(_) => Err(StoreError::TimedOut { path: store.to_owned(), limit }),
    }
}

/// Lets sled write on the guard thread: it panics when the disk does not take what it writes.
///
/// # Errors
/// [`StoreError::Engine`] with what sled or the panic said; as for [`run`] when it hangs.
pub(super) fn write(
    store: &Path,
    work: impl FnOnce() -> sled::Result<()> + Send + 'static,
) -> Result<(), StoreError> {
    let failed = |source| StoreError::Engine { action: "written", source };
    run(store, WRITE_LIMIT, move || match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result.map_err(|error| failed(Box::new(error))),
        Err(panic) => Err(failed(panic_text(&*panic).into())),
    })
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .and_then(|text| text.lines().next())
        .unwrap_or("no reason given")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_its_text() {
        let error = run::<()>(Path::new("store-1"), Duration::from_secs(5), || panic!("lost page"))
            .unwrap_err();
        assert!(error.to_string().contains("lost page"), "{error}");
        assert!(error.is_damage());
    }

    #[test]
    fn a_hang_becomes_an_error_in_time() {
        let error = run(Path::new("store-1"), Duration::from_millis(20), || {
            std::thread::sleep(Duration::from_secs(2));
            Ok(())
        })
        .unwrap_err();
        assert!(matches!(error, StoreError::TimedOut { .. }), "{error}");
    }
}
