//! Tokens that another process of this machine provides.

use std::path::PathBuf;

use async_trait::async_trait;
use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::Request;
use tonic::transport::Endpoint;
use toolplane_proto::hooks::FetchTokenRequest;
use toolplane_proto::hooks::token_service_client::TokenServiceClient;
use toolplane_registry::{Domain, Secret};

use super::TokenProvider;

/// Longest token, in bytes: it has to fit into the header of a request.
const MAX_BYTES: usize = 16 << 10;

/// Asks a `toolplane.hooks.v1.TokenService` at a Unix socket, each time anew.
#[derive(Debug)]
pub struct TokenService {
    socket: PathBuf,
}

impl TokenService {
    /// The service that listens there.
    pub fn at(socket: PathBuf) -> Self {
        Self { socket }
    }

    /// A connection for each question: they are as rare as listings, and the service may be another process by then.
    async fn ask(&self, domain: &Domain) -> Result<String, String> {
        let socket = self.socket.clone();
        // The path is no part of a URI, which cannot hold every path.
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        let endpoint = Endpoint::from_static("http://token-provider.invalid");
        let channel = endpoint.connect_with_connector(connector).await;
        let channel = channel.map_err(|_| "it cannot be reached".to_owned())?;
        let request = Request::new(FetchTokenRequest { domain: domain.to_string() });
        let answer = TokenServiceClient::new(channel).fetch_token(request).await;
        // What it says in words may hold what nobody else is to read.
        answer
            .map(|answer| answer.into_inner().token)
            .map_err(|status| format!("it failed: {}", status.code()))
    }
}

#[async_trait]
impl TokenProvider for TokenService {
    async fn fetch(&self, domain: &Domain) -> Result<Option<Secret>, String> {
        let failed = |reason: &str| format!("the token provider did not answer as it should: {reason}");
        let text = self.ask(domain).await.map_err(|reason| failed(&reason))?;
        let token = text.trim();
        if token.len() > MAX_BYTES {
            return Err(failed("its token is longer than any header may be"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') {
            return Err(failed("its token holds characters that cannot be sent in a header"));
        }
        Ok((!token.is_empty()).then(|| Secret::new(token.to_owned())))
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;
    use tokio_stream::wrappers::UnixListenerStream;
    use tonic::{Response, Status};
    use toolplane_proto::hooks::FetchTokenResponse;
    use toolplane_proto::hooks::token_service_server::{self, TokenServiceServer};

    use super::*;

    /// Gives the domain's own name as its token; for some domains it fails, has none, or gives what is none.
    struct Provider;

    #[tonic::async_trait]
    impl token_service_server::TokenService for Provider {
        async fn fetch_token(
            &self,
            request: Request<FetchTokenRequest>,
        ) -> Result<Response<FetchTokenResponse>, Status> {
            let token = match request.into_inner().domain.as_str() {
                "fails" => return Err(Status::internal("s3cr3t")),
                "none" => String::new(),
                "lines" => "a\nb".to_owned(),
                "long" => "x".repeat(MAX_BYTES + 1),
                domain => domain.to_owned(),
            };
            Ok(Response::new(FetchTokenResponse { token }))
        }
    }

    #[tokio::test]
    async fn a_service_is_asked_whatever_its_path_and_what_is_no_token_is_not_sent() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a folder, 100% #1?");
        std::fs::create_dir(&folder).unwrap();
        let socket = folder.join("s");
        let fetch = async |domain: &str| {
            TokenService::at(socket.clone()).fetch(&Domain::parse(domain).unwrap()).await
        };
        assert!(fetch("a").await.unwrap_err().contains("cannot be reached"));
        let connections = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
        let server = tonic::transport::Server::builder().add_service(TokenServiceServer::new(Provider));
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(server.serve_with_incoming(connections));
        let token = fetch("a").await.unwrap();
        assert_eq!(token.as_ref().map(|token| token.expose().as_str()), Some("a"));
        assert!(fetch("none").await.unwrap().is_none());
        for domain in ["fails", "lines", "long"] {
            let reason = fetch(domain).await.unwrap_err();
            assert!(reason.len() < 200 && !reason.contains("s3cr3t"), "{reason}");
        }
    }
}
