//! Writes what is known of nodes to the store: many at a time, behind the streams, and later where the store is away.

use std::time::Duration;

use toolplane_registry::ErrorCode;

use super::Nodes;
use crate::store;
use crate::stream::records::Unwritten;

/// How long a store that is away is left alone.
const RETRY: Duration = Duration::from_secs(1);
/// How many records are written at once: nobody else writes to SQLite meanwhile.
const BATCH: usize = 256;

impl Nodes {
    /// Writes what changes, for as long as it is polled. What is not written by then is left to [`Nodes::flush`].
    pub async fn keep_records(&self) {
        loop {
            self.unwritten.notified().await;
            if self.flush().await {
                continue;
            }
            tracing::warn!("cannot record the state of nodes: it is kept until the database answers");
            loop {
                tokio::time::sleep(RETRY).await;
                if self.flush().await {
                    break;
                }
            }
            tracing::info!("the state of nodes is on record again");
        }
    }

    /// Writes what the store does not know; `false` where it is away.
    pub async fn flush(&self) -> bool {
        let _turn = self.writing.lock().await;
        let is_done = self.note_refusals().await && self.write_records().await;
        // Who waits for nodes reads refusals from the store.
        self.changes.send_replace(());
        is_done
    }

    /// The history of a version says who refused it, whatever the node serves later.
    async fn note_refusals(&self) -> bool {
        let unnoted = self.records().unnoted();
        for (store_id, refusal) in unnoted {
            if let Err(error) = self.store.note_refusal(&store_id, &refusal).await {
                if error.code() == ErrorCode::Unavailable {
                    return false;
                }
                let (node_id, number) = (&refusal.node_id, refusal.number);
                tracing::warn!(node.id = %node_id, %error, "cannot record that node `{node_id}` refused v{number}");
            }
            self.records().noted(&store_id, &refusal);
        }
        true
    }

    async fn write_records(&self) -> bool {
        let unwritten = self.records().unwritten();
        for batch in unwritten.chunks(BATCH) {
            let written = match self.put(batch).await {
                // One of them cannot be written; that is no reason to lose the others.
                Err(error) if error.code() != ErrorCode::Unavailable => self.put_each(batch).await,
                written => written,
            };
            if written.is_err() {
                self.records().failed(&unwritten);
                return false;
            }
        }
        true
    }

    async fn put_each(&self, batch: &[Unwritten]) -> Result<(), store::Error> {
        for one in batch {
            match self.put(std::slice::from_ref(one)).await {
                Err(error) if error.code() != ErrorCode::Unavailable => {
                    let id = &one.record.id;
                    tracing::warn!(node.id = %id, %error, "cannot record the state of node `{id}`");
                    self.records().given_up(one);
                }
                written => written?,
            }
        }
        Ok(())
    }

    async fn put(&self, batch: &[Unwritten]) -> Result<(), store::Error> {
        let nodes: Vec<_> = batch.iter().map(|one| (one.record.clone(), one.claim)).collect();
        self.store.put_nodes(&nodes).await?;
        self.records().written(batch);
        Ok(())
    }
}
