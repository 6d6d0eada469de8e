//! Unary calls of gRPC over one connection of HTTP/2.
//!
//! Owns frames and statuses. A call writes its question and reads the answer by itself, and wakes nobody for it but the
//! task that works the connection, where a channel of `tonic` puts a queue and two more tasks in between.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use h2::{Reason, RecvStream};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Uri, Version, header};
use prost::Message;
use tonic::Status;
use toolplane_upstream::connector::{Room, Share};

use super::pulse::Pulse;
use crate::options::Address;

/// What stands before each message: whether it is compressed, and its length.
const PREFIX: usize = 5;
/// The first byte of a text that is the fifth field of its message.
const FIFTH_TEXT: u8 = (5 << 3) | 2;

/// Asks over one connection. Clones share it; it ends with the last of them.
#[derive(Debug, Clone)]
pub(super) struct Asker {
    requests: SendRequest<Bytes>,
    origin: (Scheme, Authority),
    usual: HeaderMap,
    pulse: Arc<Pulse>,
}

/// A message as it travels, and the room that it takes, with what is read of the answer.
#[derive(Debug)]
pub(super) struct Frame {
    bytes: Bytes,
    share: Share,
}

/// A question to a service.
#[derive(Debug)]
pub(super) struct Question<'a> {
    /// `/package.Service/Method`.
    pub(super) path: &'static str,
    pub(super) frame: &'a mut Frame,
    /// The largest answer that is read.
    pub(super) max_answer_bytes: usize,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Error {
    /// The connection takes no more questions, and the service has not looked at this one.
    Unsent(h2::Error),
    /// The connection is of no use any more.
    Lost(h2::Error),
    /// The service took back the one stream.
    Reset(Reason),
    /// It answered with an error.
    Status(Status),
    /// What it answered is no answer.
    Invalid(&'static str),
    /// The node has no room for it.
    NoRoom,
}

impl From<h2::Error> for Error {
    fn from(error: h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_reset() => Self::Reset(reason),
            // It winds up the connection. What it still works on it answers.
            Some(Reason::NO_ERROR) if error.is_go_away() && error.is_remote() => Self::Unsent(error),
            _ => Self::Lost(error),
        }
    }
}

impl Asker {
    pub(super) fn new(requests: SendRequest<Bytes>, address: &Address) -> Self {
        // The name of a socket only fills the request's authority.
        let unnamed = || (Scheme::HTTP, Authority::from_static("hooks.invalid"));
        let origin = match address {
            Address::Unix(_) => None,
            Address::Tcp(uri) => uri.scheme().cloned().zip(uri.authority().cloned()),
        };
        let usual = [
            (header::TE, "trailers"),
            (header::CONTENT_TYPE, "application/grpc"),
            (header::USER_AGENT, "toolplane"),
        ];
        let usual = usual.map(|(name, value): (HeaderName, _)| (name, HeaderValue::from_static(value)));
        let usual = usual.into_iter().collect();
        Self { requests, origin: origin.unwrap_or_else(unnamed), usual, pulse: Pulse::new() }
    }

    /// What is heard over the connection.
    pub(super) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Asks, and awaits the answer. Dropping this takes the question back.
    pub(super) async fn ask<A: Message + Default>(&self, question: Question<'_>) -> Result<A, Error> {
        let Question { path, frame: Frame { bytes, share }, max_answer_bytes } = question;
        let (awaited, sent) = (self.pulse.awaiting(), bytes.len());
        let mut requests = self.requests.clone().ready().await.map_err(Error::Unsent)?;
        let (response, mut sending) =
            requests.send_request(self.request(path), false).map_err(Error::Unsent)?;
        // A stream that is over by now takes no data and does not say why; that is what is read in place of an answer.
        let unsent = sending.send_data(bytes.clone(), true).err();
        let (head, mut body) = response.await?.into_parts();
        awaited.hear();
        // An answer without a message has its status here.
        check(&head.headers)?;
        if let Some(error) = unsent {
            return Err(Error::Lost(error));
        }
        if head.status != StatusCode::OK {
            return Err(Error::Status(of_http(head.status)));
        }
        let message =
            read(&mut body, max_answer_bytes, |held| share.hold(sent + held).map_err(|_| Error::NoRoom));
        let message = message.await?;
        let trailers = body.trailers().await?.unwrap_or_default();
        awaited.hear();
        if !check(&trailers)? {
            return Err(Error::Invalid("it ends without a status"));
        }
        A::decode(unframed(message)?).map_err(|_| Error::Invalid("it cannot be read"))
    }

    fn request(&self, path: &'static str) -> Request<()> {
        let (scheme, authority) = &self.origin;
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
        parts.path_and_query = Some(PathAndQuery::from_static(path));
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.version_mut() = Version::HTTP_2;
        // These three make an address, whatever they are.
        *request.uri_mut() = Uri::from_parts(parts).unwrap_or_default();
        request.headers_mut().clone_from(&self.usual);
        request
    }
}

/// A message, ready to be sent.
pub(super) fn frame(message: &impl Message) -> Result<Frame, Error> {
    framed(message, None, Share::default())
}

/// The same with a text as its fifth field, which is empty in the message: so the one text that may be large is copied
/// once, into what is sent. That has to fit into the room before there is a copy.
pub(super) fn frame_with(
    message: &impl Message,
    text: &str,
    room: Option<&Arc<dyn Room>>,
) -> Result<Frame, Error> {
    let share = room.map_or_else(Share::default, |room| Share::of(Arc::clone(room)));
    framed(message, Some(text).filter(|text| !text.is_empty()), share)
}

fn framed(message: &impl Message, text: Option<&str>, mut share: Share) -> Result<Frame, Error> {
    let of_text = text.map_or(0, |text| 1 + prost::length_delimiter_len(text.len()) + text.len());
    let length = message.encoded_len() + of_text;
    let announced = u32::try_from(length).map_err(|_| Error::Invalid("the question is too long"))?;
    share.hold(PREFIX + length).map_err(|_| Error::NoRoom)?;
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(announced);
    let too_long = |_| Error::Invalid("the question is too long");
    message.encode(&mut frame).map_err(too_long)?;
    if let Some(text) = text {
        frame.put_u8(FIFTH_TEXT);
        prost::encode_length_delimiter(text.len(), &mut frame).map_err(too_long)?;
        frame.put_slice(text.as_bytes());
    }
    Ok(Frame { bytes: frame.freeze(), share })
}

/// Reads to the end what is no longer than it may be. Most answers come in one piece, and that is not copied.
async fn read(
    body: &mut RecvStream,
    max_bytes: usize,
    mut hold: impl FnMut(usize) -> Result<(), Error>,
) -> Result<Bytes, Error> {
    let (mut first, mut all) = (Bytes::new(), BytesMut::new());
    while let Some(piece) = body.data().await {
        let piece = piece?;
        body.flow_control().release_capacity(piece.len())?;
        let length = first.len() + all.len() + piece.len();
        if length > max_bytes.saturating_add(PREFIX) {
            return Err(Error::Invalid("it is longer than it may be"));
        }
        hold(length)?;
        if first.is_empty() && all.is_empty() {
            first = piece;
            continue;
        }
        all.extend_from_slice(&std::mem::take(&mut first));
        all.extend_from_slice(&piece);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

/// The one message of an answer.
fn unframed(mut answer: Bytes) -> Result<Bytes, Error> {
    if answer.len() < PREFIX {
        return Err(Error::Invalid("there is no message in it"));
    }
    let (is_compressed, length) = (answer.get_u8() != 0, answer.get_u32());
    if is_compressed {
        return Err(Error::Invalid("it is compressed, which nobody asked for"));
    }
    if usize::try_from(length) != Ok(answer.len()) {
        return Err(Error::Invalid("it is not one whole message"));
    }
    Ok(answer)
}

/// Whether these headers have a status; fails where it is an error.
fn check(headers: &HeaderMap) -> Result<bool, Error> {
    match Status::from_header_map(headers) {
        None => Ok(false),
        Some(status) if status.code() == tonic::Code::Ok => Ok(true),
        Some(status) => Err(Error::Status(status)),
    }
}

/// What a proxy in between means that answers by itself.
fn of_http(status: StatusCode) -> Status {
    let words = format!("the HTTP status is {status}");
    match status {
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => Status::unavailable(words),
        _ => Status::unknown(words),
    }
}

#[cfg(test)]
mod tests {
    use toolplane_proto::hooks::{AfterExecuteRequest, TransformResultRequest};

    use super::*;

    fn decoded<M: Message + Default>(frame: Frame) -> M {
        M::decode(unframed(frame.bytes).unwrap()).unwrap()
    }

    #[test]
    fn a_text_that_travels_apart_arrives_where_it_belongs() {
        for text in ["", "x", &"é".repeat(100_000)] {
            let result = TransformResultRequest {
                arguments: "{}".to_owned(),
                result: text.to_owned(),
                ..TransformResultRequest::default()
            };
            let apart = TransformResultRequest { result: String::new(), ..result.clone() };
            assert_eq!(decoded::<TransformResultRequest>(frame_with(&apart, text, None).unwrap()), result);
            let after = AfterExecuteRequest {
                text: text.to_owned(),
                is_error: true,
                ..AfterExecuteRequest::default()
            };
            let apart = AfterExecuteRequest { text: String::new(), ..after.clone() };
            assert_eq!(decoded::<AfterExecuteRequest>(frame_with(&apart, text, None).unwrap()), after);
        }
    }

    #[test]
    fn only_one_whole_plain_message_is_an_answer() {
        let good = AfterExecuteRequest { is_error: true, ..AfterExecuteRequest::default() };
        let good = frame(&good).unwrap().bytes;
        assert!(unframed(good.clone()).is_ok());
        let compressed = [&[1], &good[1..]].concat();
        let two = [&good[..], &good[..]].concat();
        for odd in [&[][..], &good[..4], &good[..good.len() - 1], &compressed, &two] {
            let unframed = unframed(Bytes::copy_from_slice(odd));
            assert!(matches!(unframed, Err(Error::Invalid(_))), "{odd:?}");
        }
    }
}
