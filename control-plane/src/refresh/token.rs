//! The bearer token that upstreams are listed with which have no credentials of their own.
//!
//! Owns where it comes from, anew for each listing: tokens rotate.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tonic::Request;
use tonic::transport::Endpoint;
use toolplane_proto::hooks::FetchTokenRequest;
use toolplane_proto::hooks::token_service_client::TokenServiceClient;
use toolplane_registry::{Domain, Secret};

/// How long whoever provides tokens may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest token, in bytes.
const MAX_TOKEN_BYTES: usize = 32 << 10;

/// Where the token comes from.
#[derive(Debug, Clone, Default)]
pub enum TokenSource {
    /// From nowhere: none is sent.
    #[default]
    Nowhere,
    /// It is always the same.
    Fixed(Secret),
    /// From a file that is read for each listing.
    File(PathBuf),
    /// From a `TokenService` at this Unix socket, which is asked for each listing.
    Service(PathBuf),
}

/// Why there is no token. Never holds one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the token file cannot be read: {0}")]
    File(#[from] io::Error),
    /// Whoever provides tokens did not.
    #[error("the token provider did not answer as it should: {0}")]
    Service(String),
    /// It is none.
    #[error("the token {0}")]
    Token(&'static str),
}

impl TokenSource {
    /// The token for listing an upstream; `None` where none is to be sent.
    pub async fn fetch(&self, domain: &Domain) -> Result<Option<Secret>, Error> {
        let text = match self {
            Self::Nowhere => return Ok(None),
            Self::Fixed(token) => return Ok(Some(token.clone())),
            Self::File(path) => read(path).await?,
            Self::Service(socket) => ask(socket, domain).await?,
        };
        let token = text.trim();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::Token("is longer than any header may be"));
        }
        if !token.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(Error::Token("holds characters that cannot be sent in a header"));
        }
        Ok((!token.is_empty()).then(|| Secret::new(token.to_owned())))
    }
}

async fn read(path: &Path) -> Result<String, Error> {
    Ok(tokio::fs::read_to_string(path).await?)
}

/// A connection for each question: they are as rare as listings, and the provider may be another process by then.
async fn ask(socket: &Path, domain: &Domain) -> Result<String, Error> {
    let failed = |error: String| Error::Service(error);
    let asked = async {
        let endpoint = Endpoint::from_shared(format!("unix://{}", socket.display()))
            .map_err(|error| failed(error.to_string()))?;
        let channel = endpoint.connect().await.map_err(|_| failed("it cannot be reached".to_owned()))?;
        let request = Request::new(FetchTokenRequest { domain: domain.to_string() });
        let answer = TokenServiceClient::new(channel).fetch_token(request).await;
        answer.map(|answer| answer.into_inner().token).map_err(|status| failed(status.message().to_owned()))
    };
    tokio::time::timeout(DEADLINE, asked).await.unwrap_or_else(|_| Err(failed("it took too long".to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_read_anew_and_what_is_no_token_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let (source, domain) = (TokenSource::File(path.clone()), Domain::parse("a").unwrap());
        assert!(matches!(source.fetch(&domain).await, Err(Error::File(_))));
        for (text, expected) in [("one\n", Some("one")), ("two", Some("two")), (" \n", None)] {
            std::fs::write(&path, text).unwrap();
            let token = source.fetch(&domain).await.unwrap();
            assert_eq!(token.as_ref().map(|token| token.expose().as_str()), expected);
        }
        for text in ["a\nb".to_owned(), "x".repeat(MAX_TOKEN_BYTES + 1)] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(source.fetch(&domain).await, Err(Error::Token(_))));
        }
        let nobody = TokenSource::Service(folder.path().join("nobody"));
        assert!(matches!(nobody.fetch(&domain).await, Err(Error::Service(_))));
        assert!(TokenSource::Nowhere.fetch(&domain).await.unwrap().is_none());
    }
}
