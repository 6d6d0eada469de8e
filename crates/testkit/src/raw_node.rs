//! A node that says whatever a test wants it to, byte by byte.
//!
//! A gRPC client of the sync stream that encodes nothing by itself: every message is what the test gives it, be it a
//! proper one or garbage. What the control plane answers is decoded.

use bytes::BufMut as _;
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::MetadataValue;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status, Streaming};
use toolplane_proto::sync::subscribe_request::Message;
use toolplane_proto::sync::subscribe_response::Message as Answer;
use toolplane_proto::sync::{Ack, Hello, Nack, Rejection, SubscribeRequest, SubscribeResponse, Update};

const SUBSCRIBE: &str = "/toolplane.sync.v1.SyncService/Subscribe";
/// Largest answer that is read.
const MAX_ANSWER: usize = 256 << 20;

/// An open stream.
#[derive(Debug)]
pub struct RawNode {
    to: mpsc::Sender<Vec<u8>>,
    from: Streaming<SubscribeResponse>,
}

impl RawNode {
    /// Opens a stream to a control plane at `http://…`, and says nothing.
    pub async fn open(address: &str, token: &str) -> Result<Self, Status> {
        let channel = Endpoint::from_shared(address.to_owned()).unwrap().connect().await.unwrap();
        let (to, outbox) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(outbox));
        let bearer: MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let mut client: tonic::client::Grpc<Channel> =
            tonic::client::Grpc::new(channel).max_decoding_message_size(MAX_ANSWER);
        client.ready().await.unwrap();
        let answer = client.streaming(request, SUBSCRIBE.parse().unwrap(), Bytes).await?;
        Ok(Self { to, from: answer.into_inner() })
    }

    /// Opens a stream as a node of that name that holds nothing.
    pub async fn follow(address: &str, token: &str, node_id: &str) -> Result<Self, Status> {
        let node = Self::open(address, token).await?;
        node.say(Message::Hello(Hello { node_id: node_id.to_owned(), ..Hello::default() })).await;
        Ok(node)
    }

    /// Sends bytes as one message, as far as the control plane still listens.
    pub async fn send(&self, bytes: Vec<u8>) {
        drop(self.to.send(bytes).await);
    }

    /// Sends a proper message.
    pub async fn say(&self, message: Message) {
        self.send(SubscribeRequest { message: Some(message) }.encode_to_vec()).await;
    }

    /// Says that an update is served.
    pub async fn ack(&self, update: &Update) {
        let Update { nonce, version, .. } = update.clone();
        self.say(Message::Ack(Ack { nonce, version, persisted: true })).await;
    }

    /// Refuses an update, for one reason of rule `consistency`.
    pub async fn nack(&self, update: &Update, held: Option<&Update>, reason: &str) {
        let (subject, rule) = ("a test".to_owned(), "consistency".to_owned());
        let rejections = vec![Rejection { subject, rule, reason: reason.to_owned() }];
        let held = held.and_then(|held| held.version.clone());
        self.say(Message::Nack(Nack { nonce: update.nonce.clone(), held, rejections })).await;
    }

    /// The next update.
    ///
    /// # Errors
    ///
    /// The status that ended the stream.
    pub async fn update(&mut self) -> Result<Update, Status> {
        loop {
            let answer = self.from.message().await?;
            let answer = answer.ok_or_else(|| Status::ok("the stream ended"))?;
            if let Some(Answer::Update(update)) = answer.message {
                return Ok(update);
            }
        }
    }

    /// Waits for the end of the stream: why it came.
    pub async fn end(mut self) -> Status {
        loop {
            if let Err(status) = self.update().await {
                return status;
            }
        }
    }
}

/// Sends bytes as they are and reads answers.
#[derive(Debug, Clone, Copy)]
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = SubscribeResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put_slice(&item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = SubscribeResponse;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<SubscribeResponse>, Status> {
        SubscribeResponse::decode(buffer).map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
