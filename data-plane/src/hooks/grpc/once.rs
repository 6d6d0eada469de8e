//! One connection that says when it is gone, and is never made again behind the back of those who use it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::transport::Uri;

use crate::channel::{Connected, Connection, Connector};

/// Connects once.
#[derive(Debug, Clone)]
pub(super) struct Once {
    connector: Connector,
    used: Arc<AtomicBool>,
    gone: CancellationToken,
}

/// Says when it is dropped.
struct Watched {
    inner: Box<dyn Connection>,
    _gone: DropGuard,
}

impl Once {
    /// Connects by a connector, and cancels the token when the connection is gone.
    pub(super) fn new(connector: Connector, gone: CancellationToken) -> Self {
        Self { connector, used: Arc::default(), gone }
    }
}

impl tower::Service<Uri> for Once {
    type Response = Connected;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let Self { connector, used, gone } = self;
        if used.swap(true, Ordering::AcqRel) {
            return Box::pin(async { Err("the connection is gone".into()) });
        }
        let guard = gone.clone().drop_guard();
        let connecting = connector.call(uri);
        Box::pin(async move {
            let inner = connecting.await?.into_inner();
            let watched: Box<dyn Connection> = Box::new(Watched { inner, _gone: guard });
            Ok(TokioIo::new(watched))
        })
    }
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(context, buffer)
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}
