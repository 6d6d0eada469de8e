//! Event streams, over as many HTTP responses as the upstream makes of them.
//!
//! Owns going on where the upstream ended a stream before the reply; [`resume`] says whether and when. Reading one
//! response is up to [`super`].
//!
//! [`resume`]: super::super::resume

use http::header::{ACCEPT, CONTENT_TYPE, HeaderName};
use http::{HeaderValue, Method};

use super::{Peer, Transport, is_event_stream, is_success};
use crate::Error;
use crate::client::message::{Ask, Raw};
use crate::client::resume::Place;
use crate::client::sse::Decoder;
use crate::connector::Response;

const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

impl Transport {
    /// Reads up to the reply, and where the upstream ends the stream before that, what follows.
    pub(super) async fn read_stream(
        &self,
        peer: &Peer,
        mut response: Response,
        id: u64,
        ask: Option<Ask<'_>>,
    ) -> Result<Raw, Error> {
        let mut decoder = Decoder::default();
        loop {
            if let Some(result) = self.read_response(peer, response, id, ask, &mut decoder).await? {
                return result;
            }
            // The stateless revision knows no such thing: there a stream that ends takes the request with it.
            let place = decoder.place().filter(|_| !peer.is_stateless());
            let place = place.ok_or_else(|| lost("it cannot be taken up again"))?;
            tokio::time::sleep(place.pause).await;
            response = self.take_up(peer, place).await?;
            if let Some(room) = ask.and_then(Ask::room) {
                response.count_in(room);
            }
            decoder.begin_stream();
        }
    }

    /// Asks for the rest. Whatever goes wrong, the request itself was sent before and may have run.
    async fn take_up(&self, peer: &Peer, place: Place) -> Result<Response, Error> {
        let mut headers = peer.headers.clone();
        headers.insert(ACCEPT, HeaderValue::from_static("text/event-stream"));
        headers.remove(CONTENT_TYPE);
        headers.insert(LAST_EVENT_ID, place.id);
        let sent = self.connector.send(Method::GET, peer.destination(), headers, Vec::new().into()).await;
        let response = sent.map_err(|error| lost(&error.to_string()))?;
        if is_success(response.status()) && is_event_stream(&response) {
            return Ok(response);
        }
        Err(lost(&format!("asking for the rest was answered with status {}", response.status())))
    }
}

fn lost(reason: &str) -> Error {
    Error::Interrupted(format!("the event stream ended before the reply, and {reason}"))
}
