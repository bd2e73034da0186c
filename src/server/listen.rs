//! Connections: accepted up to a bound, with an end to everything that takes too long.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;

use super::app::{self, App};
use super::{ServeError, ServerOptions};
use crate::database::Database;

/// Largest head of a request; more is answered by 431.
const HEAD_BYTES_MAX: usize = 64 << 10;

/// Serves until the process is told to stop.
pub(super) async fn run(
    database: Database,
    options: ServerOptions,
    on_ready: impl FnOnce(SocketAddr),
) -> Result<(), ServeError> {
    // A connection is a file; a thousand is what systems give without being asked.
    let files = rlimit::increase_nofile_limit(u64::MAX).unwrap_or(1024);
    let connections = options.limits.connections.min(files.saturating_sub(200).max(64) as usize);
    let address = options.address;
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { address, source })?;
    let address = listener.local_addr()?;
    let mut stop = pin!(told_to_stop()?);
    let app = App::new(database, options, address);
    let router = app::router(&app);
    let graceful = GracefulShutdown::new();
    let places = Arc::new(Semaphore::new(connections));
    on_ready(address);
    app.warm_up();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, stream) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => break,
        };
        let Ok((stream, _)) = stream else {
            // No file for it: others will close soon.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        };
        let service = TowerToHyperService::new(router.clone());
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(app.options.limits.transfer)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(Box::pin(bounded(stream, &app))), service);
        let connection = graceful.watch(connection);
        let open = Open::begin(app.metrics.connections());
        tokio::spawn(async move {
            let (_place, _open) = (place, open);
            // How a connection ends is the client's affair.
            let _ = connection.await;
        });
    }
    drop(listener);
    app.stop();
    let ended = tokio::time::timeout(app.options.limits.farewell, graceful.shutdown()).await;
    if ended.is_err() {
        (app.options.on_failure)("some requests were still going on and were cut off");
    }
    app.wait_for_jobs().await;
    Ok(())
}

/// A stream whose writes must go on: a reader that stalls is cut off.
fn bounded(stream: TcpStream, app: &App) -> TimeoutStream<TcpStream> {
    // Answers are small; waiting for more to send would only delay them.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(app.options.limits.transfer));
    stream
}

/// Ends when the process is told to stop.
fn told_to_stop() -> Result<impl Future<Output = ()>, ServeError> {
    #[cfg(unix)]
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        #[cfg(unix)]
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
        #[cfg(not(unix))]
        let _ = tokio::signal::ctrl_c().await;
    })
}

/// An open connection, counted.
struct Open(Gauge<i64, std::sync::atomic::AtomicI64>);

impl Open {
    fn begin(gauge: Gauge<i64, std::sync::atomic::AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
