//! Work that blocks, in lanes with a bound: no kind of request can take all threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::Problem;

/// Requests that may wait for a place in a lane.
const WAITING_MAX: usize = 256;

/// How long one waits before it hears that it should come again.
const PATIENCE: Duration = Duration::from_secs(10);

/// Threads for all lanes together, with some for the file service.
pub(super) const THREADS_MAX: usize = 96;

/// The lanes of a server.
pub(super) struct Lanes {
    /// Looking up and searching: microseconds to milliseconds.
    pub(super) quick: Lane,
    /// Decoding and embedding: up to a second, each on one thread.
    pub(super) pixels: Lane,
    /// Clustering and training, on all cores: seconds and more.
    pub(super) long: Lane,
}

impl Lanes {
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            quick: Lane::new((2 * cores).max(4)),
            pixels: Lane::new(cores.max(2)),
            long: Lane::new(1),
        }
    }
}

/// Places for so many pieces of work at a time.
pub(super) struct Lane {
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
}

impl Lane {
    fn new(places: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(places)), waiting: AtomicUsize::new(0) }
    }

    /// Runs something that blocks, on a thread made for that.
    ///
    /// # Errors
    /// [`Problem::busy`] when there is no place for too long, or too many wait already; an internal
    /// one when the work panics.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let place = self.place().await?;
        let ran = tokio::task::spawn_blocking(move || {
            // The place is given back when the work is done, even if nobody waits for it any more.
            let _place = place;
            work()
        });
        ran.await.map_err(|panic| Problem::internal(format!("a request panicked: {panic}")))
    }

    async fn place(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiter = Waiter::join(&self.waiting).ok_or_else(Problem::busy)?;
        let place = Arc::clone(&self.places).acquire_owned();
        match tokio::time::timeout(PATIENCE, place).await {
            Ok(Ok(place)) => Ok(place),
            _ => Err(Problem::busy()),
        }
    }
}

/// One that waits; counted until it is dropped, also when its client goes.
struct Waiter<'a>(&'a AtomicUsize);

impl<'a> Waiter<'a> {
    fn join(waiting: &'a AtomicUsize) -> Option<Self> {
        let waiter = Self(waiting);
        (waiting.fetch_add(1, Ordering::Relaxed) < WAITING_MAX).then_some(waiter)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs work with a thread pool of one thread: several requests decode and embed at a time, and the
/// team of threads that one image would get is slower than they.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn alone<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T, Problem> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let pool = pool.map_err(|error| Problem::internal(error.to_string()))?;
    Ok(pool.install(work))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_waits_for_a_place_and_too_many_are_sent_away() {
        let lane = Arc::new(Lane::new(1));
        let (go, wait) = std::sync::mpsc::channel::<()>();
        let busy = tokio::spawn({
            let lane = Arc::clone(&lane);
            async move { lane.run(move || wait.recv().is_ok()).await.is_ok() }
        });
        while lane.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let waiting: Vec<_> = (0..WAITING_MAX)
            .map(|number| {
                let lane = Arc::clone(&lane);
                tokio::spawn(async move { lane.run(move || number).await.is_ok() })
            })
            .collect();
        while lane.waiting.load(Ordering::Relaxed) < WAITING_MAX {
            tokio::task::yield_now().await;
        }
        assert!(lane.run(|| ()).await.is_err());
        assert_eq!(lane.waiting.load(Ordering::Relaxed), WAITING_MAX);
        go.send(()).unwrap();
        assert!(busy.await.unwrap());
        for waiter in waiting {
            assert!(waiter.await.unwrap());
        }
        assert_eq!(lane.waiting.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn a_panic_is_a_problem_and_gives_its_place_back() {
        let lane = Lane::new(1);
        assert!(lane.run(|| panic!("this panic is part of a test")).await.is_err());
        assert!(lane.run(|| 1).await.is_ok());
    }
}
