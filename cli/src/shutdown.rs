//! Ending in order: the first signal drains, the second stops, and there is a deadline.

use std::future::Future;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::exit::Failure;

/// Time for what drains after its own deadline has passed: closing connections, the last writes.
const MARGIN: Duration = Duration::from_secs(5);

/// SIGINT and SIGTERM.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// From here on signals do not end the process by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let listen = |kind| {
            signal(kind).map_err(|error| Failure::failed(format!("signals cannot be received: {error}")))
        };
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub(crate) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Runs until done. The first signal cancels `shutdown`; a second one, or the deadline, ends the waiting.
pub(crate) async fn supervise<T>(
    running: impl Future<Output = Result<T, Failure>>,
    shutdown: &CancellationToken,
    drain: Duration,
    mut signals: Signals,
) -> Result<(), Failure> {
    tokio::pin!(running);
    tokio::select! {
        outcome = &mut running => return outcome.map(drop),
        () = signals.next() => tracing::info!("draining: a second signal stops at once"),
    }
    shutdown.cancel();
    tokio::select! {
        outcome = &mut running => outcome.map(drop),
        () = signals.next() => Err(Failure::failed("stopped by a second signal before everything was finished")),
        () = tokio::time::sleep(drain + MARGIN) => Err(Failure::failed("stopped at the deadline before everything was finished")),
    }
}
