//! A node's side of the sync stream and nothing behind it, so that many fit into one process.

use anyhow::Context as _;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use toolplane_proto::sync::subscribe_request::Message;
use toolplane_proto::sync::sync_service_client::SyncServiceClient;
use toolplane_proto::sync::{Ack, Hello, SubscribeRequest, subscribe_response};

use super::fleet::ControlPlane;

/// Streams that take everything they are sent, decode it, and confirm it.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    served: Vec<watch::Receiver<u64>>,
    tasks: JoinSet<anyhow::Result<()>>,
}

impl Followers {
    pub(crate) fn len(&self) -> usize {
        self.served.len()
    }

    /// Adds one, on a connection of its own, and waits until it holds the version.
    pub(crate) async fn add(&mut self, control_plane: &ControlPlane, version: u64) -> anyhow::Result<()> {
        let client = SyncServiceClient::new(control_plane.node_client().await?);
        let mut client = client.max_decoding_message_size(256 << 20);
        let (answers, outbox) = mpsc::channel(4);
        let node_id = format!("follower-{}", self.len());
        let hello = Hello { node_id, build: "bench".to_owned(), ..Default::default() };
        answers.send(request(Message::Hello(hello))).await?;
        let mut inbound = client.subscribe(ReceiverStream::new(outbox)).await?.into_inner();
        let (writer, mut served) = watch::channel(0);
        self.tasks.spawn(async move {
            while let Some(response) = inbound.message().await? {
                let Some(subscribe_response::Message::Update(update)) = response.message else { continue };
                let number = update.version.as_ref().context("an update without a version")?.number;
                let ack = Ack { nonce: update.nonce, version: update.version, persisted: true };
                answers.send(request(Message::Ack(ack))).await?;
                writer.send_replace(number);
            }
            Ok(())
        });
        served.wait_for(|held| *held >= version).await?;
        self.served.push(served);
        Ok(())
    }

    /// Waits until all hold the version.
    pub(crate) async fn hold(&self, version: u64) -> anyhow::Result<()> {
        for served in &self.served {
            served.clone().wait_for(|held| *held >= version).await?;
        }
        Ok(())
    }
}

fn request(message: Message) -> SubscribeRequest {
    SubscribeRequest { message: Some(message) }
}
