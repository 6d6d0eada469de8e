//! The snapshot stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use toolplane_proto::sync::subscribe_request::Message as Said;
use toolplane_proto::sync::subscribe_response::Message;
use toolplane_proto::sync::sync_service_server::SyncService;
use toolplane_proto::sync::{SubscribeRequest, SubscribeResponse};

use super::Shared;

static NONCE: AtomicU64 = AtomicU64::new(1);

pub(super) struct Sync(pub(super) Arc<Shared>);

#[tonic::async_trait]
impl SyncService for Sync {
    type SubscribeStream = ReceiverStream<Result<SubscribeResponse, Status>>;

    async fn subscribe(
        &self,
        request: Request<Streaming<SubscribeRequest>>,
    ) -> Result<Response<Self::SubscribeStream>, Status> {
        let mut inbound = request.into_inner();
        let (updates, stream) = mpsc::channel(16);
        let shared = Arc::clone(&self.0);
        let streams = self.0.streams.clone();
        streams.spawn(async move {
            let mut newest = shared.update.subscribe();
            newest.mark_changed();
            loop {
                tokio::select! {
                    () = shared.stop.cancelled() => break,
                    message = inbound.message() => match message {
                        Ok(Some(SubscribeRequest { message: Some(message) })) => {
                            let is_hello = matches!(message, Said::Hello(_));
                            shared.heard.send_modify(|heard| heard.push(message));
                            let refusal = shared.script.lock().unwrap().hello_refusal.clone();
                            if let Some(status) = refusal.filter(|_| is_hello) {
                                drop(updates.send(Err(status)).await);
                                break;
                            }
                        }
                        Ok(Some(_)) => {}
                        Ok(None) | Err(_) => break,
                    },
                    changed = newest.changed(), if shared.script.lock().unwrap().hello_refusal.is_none() => {
                        if changed.is_err() {
                            break;
                        }
                        let Some(mut update) = newest.borrow_and_update().clone() else { continue };
                        if update.nonce.is_empty() {
                            update.nonce = NONCE.fetch_add(1, Ordering::Relaxed).to_string();
                        }
                        let response = SubscribeResponse { message: Some(Message::Update(update)) };
                        // A message without content, as a newer control plane might send.
                        let unknown = SubscribeResponse { message: None };
                        if updates.send(Ok(unknown)).await.is_err() || updates.send(Ok(response)).await.is_err() {
                            break;
                        }
                    }
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}
