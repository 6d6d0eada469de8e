//! Tokens that another process of this machine provides.

use std::path::PathBuf;

use async_trait::async_trait;
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
        let endpoint = Endpoint::from_shared(format!("unix://{}", self.socket.display()));
        let endpoint = endpoint.map_err(|error| error.to_string())?;
        let channel = endpoint.connect().await.map_err(|_| "it cannot be reached".to_owned())?;
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
    use super::*;

    #[tokio::test]
    async fn nobody_to_ask_is_said_without_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let service = TokenService::at(folder.path().join("nobody"));
        let refused = service.fetch(&Domain::parse("a").unwrap()).await.unwrap_err();
        assert!(refused.contains("cannot be reached"), "{refused}");
    }
}
