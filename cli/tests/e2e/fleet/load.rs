//! Clients: writers that change the registry, readers that call what it offers, until they are told to stop.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::Fleet;
use super::history::{History, Ledger};
use super::reader;
use super::writer::Writer;
use crate::harness::PATIENCE;

/// What clients are to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Plan {
    /// Changes that are asked for in all.
    pub(crate) changes: usize,
    /// Clients that ask for them, one change at a time each.
    pub(crate) writers: usize,
}

/// Clients at work.
pub(crate) struct Load {
    ledger: Arc<Ledger>,
    writers: JoinSet<()>,
    readers: JoinSet<()>,
    no_more_writes: CancellationToken,
    no_more_reads: CancellationToken,
    confirmed: watch::Receiver<usize>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { changes: usize::MAX, writers: 6 }
    }
}

impl Load {
    pub(super) fn start(fleet: &Fleet, plan: Plan, through_nodes_only: bool) -> Self {
        let ledger = Arc::new(Ledger::default());
        let (no_more_writes, no_more_reads) = (CancellationToken::new(), CancellationToken::new());
        let issued = Arc::new(AtomicUsize::new(0));
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for number in 0..plan.writers {
            let writer = Writer::new(number, fleet, Arc::clone(&ledger), through_nodes_only);
            let (issued, stop) = (Arc::clone(&issued), no_more_writes.clone());
            writers.spawn(writer.run(plan.changes, issued, stop));
        }
        for index in 0..fleet.roster.len() {
            let reading = reader::run(index, Arc::clone(&fleet.roster), Arc::clone(&ledger));
            let stop = no_more_reads.clone();
            readers.spawn(async move {
                stop.run_until_cancelled(reading).await;
            });
        }
        let confirmed = ledger.confirmations();
        Self { ledger, writers, readers, no_more_writes, no_more_reads, confirmed }
    }

    /// Changes confirmed so far.
    pub(crate) fn count(&self) -> usize {
        *self.confirmed.borrow()
    }

    /// Waits until so many changes are confirmed in all.
    pub(crate) async fn confirmed(&mut self, number: usize) {
        while *self.confirmed.borrow_and_update() < number {
            let next = tokio::time::timeout(PATIENCE, self.confirmed.changed()).await;
            let so_far = || self.ledger.so_far();
            next.unwrap_or_else(|_| panic!("no change is confirmed any more: {:#?}", so_far()))
                .expect("the ledger is here");
        }
    }

    /// Waits until so many more are confirmed than now.
    pub(crate) async fn more(&mut self, number: usize) {
        self.confirmed(self.count() + number).await;
    }

    /// Waits until every change of the plan was asked for and answered.
    pub(crate) async fn done(mut self) -> History {
        while let Some(ended) = self.writers.join_next().await {
            ended.expect("writers do not panic");
        }
        self.readers_stop().await
    }

    /// Lets writers finish what they are at, and no more.
    pub(crate) async fn stop(self) -> History {
        self.no_more_writes.cancel();
        self.done().await
    }

    async fn readers_stop(mut self) -> History {
        self.no_more_reads.cancel();
        while let Some(ended) = self.readers.join_next().await {
            ended.expect("readers do not panic");
        }
        self.ledger.so_far()
    }
}
