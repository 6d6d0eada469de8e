//! A connection over HTTP/1.1, worked by the call that holds it.
//!
//! Nothing runs beside the call: whoever waits for an answer drives the connection itself, so an exchange costs no
//! second task and no message between two. While a connection waits for its next call nobody looks at it; whether the
//! upstream has ended it meanwhile is seen when it is taken. Dropped during an exchange it is closed, which tells the
//! upstream that nobody waits any more.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures::future::poll_fn;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::unconstrained;
use tokio::time::Instant;

use super::dial::Stream;

/// A connection and the end at which requests go in.
pub(super) struct Line {
    sender: http1::SendRequest<Full<Bytes>>,
    work: http1::Connection<TokioIo<Stream>, Full<Bytes>>,
    /// It is over; no request may follow.
    is_over: bool,
    /// When its last exchange ended.
    pub(super) idle_since: Instant,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// The request did not leave; here it is again, with the reason.
    Unsent(Box<Request<Full<Bytes>>>, hyper::Error),
    /// Something broke on the way.
    Broken(hyper::Error),
    /// The connection ended without saying why.
    Ended,
}

impl Line {
    /// The first half of HTTP/1.1 over a connection; nothing is sent.
    pub(super) async fn open(stream: Stream) -> Result<Self, hyper::Error> {
        let (sender, work) = http1::handshake(TokioIo::new(stream)).await?;
        Ok(Self { sender, work, is_over: false, idle_since: Instant::now() })
    }

    /// Whether its last exchange is complete, so that another may follow.
    pub(super) fn is_free(&mut self) -> bool {
        !self.is_over && (self.sender.is_ready() || self.is_alive())
    }

    /// The same, once the upstream has not ended it meanwhile.
    pub(super) fn is_alive(&mut self) -> bool {
        // Nobody waits here, so nobody needs to be woken.
        self.drive(&mut Context::from_waker(Waker::noop()));
        !self.is_over && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of its answer.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, Failure> {
        // A task that has done much in one turn is told to wait by what it polls; here that would be for ever.
        let mut answer = pin!(unconstrained(self.sender.try_send_request(request)));
        let (work, is_over) = (&mut self.work, &mut self.is_over);
        let outcome = poll_fn(|context| {
            *is_over |= Pin::new(&mut *work).poll(context).is_ready();
            // What is awaited comes about in the line above or not at all, so it need not wake anybody.
            match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
                Poll::Pending if *is_over => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        match outcome.await {
            Some(Ok(response)) => Ok(response),
            Some(Err(mut error)) => {
                let unsent = error.take_message();
                let error = error.into_error();
                Err(match unsent {
                    Some(request) => Failure::Unsent(Box::new(request), error),
                    None => Failure::Broken(error),
                })
            }
            None => Err(Failure::Ended),
        }
    }

    /// The next piece of the answer's body.
    pub(super) fn poll_frame(
        &mut self,
        body: &mut Incoming,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let at_hand = |body: &mut Incoming| {
            let polled = Pin::new(body).poll_frame(&mut Context::from_waker(Waker::noop()));
            polled.map(|frame| frame.map(|frame| frame.map_err(Failure::Broken)))
        };
        if let ready @ Poll::Ready(_) = at_hand(body) {
            return ready;
        }
        self.drive(context);
        match at_hand(body) {
            Poll::Pending if self.is_over => Poll::Ready(Some(Err(Failure::Ended))),
            outcome => outcome,
        }
    }

    fn drive(&mut self, context: &mut Context<'_>) {
        if !self.is_over {
            // An error is told to whoever has sent a request; nobody has to be told of one in between.
            self.is_over = Pin::new(&mut self.work).poll(context).is_ready();
        }
    }
}
