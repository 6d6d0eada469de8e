//! The bearer token that upstreams are listed with which have no credentials of their own.
//!
//! Owns where it comes from, anew for each listing: tokens rotate.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tonic::Request;
use tonic::transport::{Endpoint, Uri};
use toolplane_proto::hooks::FetchTokenRequest;
use toolplane_proto::hooks::token_service_client::TokenServiceClient;
use toolplane_registry::{Domain, Secret};

/// Longest time for whoever provides tokens.
const DEADLINE: Duration = Duration::from_secs(10);
/// Longest token, in bytes, and longest file, which may end its line.
const MAX_TOKEN_BYTES: usize = 32 << 10;
const MAX_FILE_BYTES: usize = MAX_TOKEN_BYTES + 2;

/// How much of what a provider says about a failure is kept, in characters.
const MAX_WORDS_CHARS: usize = 200;
const TOO_LONG: &str = "is longer than any header may be";
const NO_HEADER: &str = "holds characters that cannot be sent in a header";

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
    /// The token for listing an upstream; `None` where none is to be sent. Takes no longer than `deadline`.
    pub async fn fetch(&self, domain: &Domain, deadline: Duration) -> Result<Option<Secret>, Error> {
        let deadline = deadline.min(DEADLINE);
        let late = || Error::Service("it took too long".to_owned());
        let text = match self {
            Self::Nowhere => return Ok(None),
            Self::Fixed(token) => return Ok(Some(token.clone())),
            Self::File(path) => tokio::time::timeout(deadline, read(path)).await,
            Self::Service(socket) => tokio::time::timeout(deadline, ask(socket, domain)).await,
        };
        let text = text.unwrap_or_else(|_| Err(late()))?;
        let token = text.trim();
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Error::Token(TOO_LONG));
        }
        if !token.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Err(Error::Token(NO_HEADER));
        }
        Ok((!token.is_empty()).then(|| Secret::new(token.to_owned())))
    }
}

async fn read(path: &Path) -> Result<String, Error> {
    let mut bytes = Vec::new();
    let most = u64::try_from(MAX_FILE_BYTES + 1).unwrap_or(u64::MAX);
    tokio::fs::File::open(path).await?.take(most).read_to_end(&mut bytes).await?;
    if bytes.len() > MAX_FILE_BYTES {
        return Err(Error::Token(TOO_LONG));
    }
    String::from_utf8(bytes).map_err(|_| Error::Token(NO_HEADER))
}

/// A connection for each question: they are as rare as listings, and the provider may be another process by then.
async fn ask(socket: &Path, domain: &Domain) -> Result<String, Error> {
    let failed = |error: String| Error::Service(error);
    let socket = socket.to_owned();
    // The path is no part of a URI, which cannot hold every path.
    let connector = tower::service_fn(move |_: Uri| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    let endpoint = Endpoint::from_static("http://token-provider.invalid");
    let channel = endpoint
        .connect_with_connector(connector)
        .await
        .map_err(|_| failed("it cannot be reached".to_owned()))?;
    let request = Request::new(FetchTokenRequest { domain: domain.to_string() });
    let answer = TokenServiceClient::new(channel).fetch_token(request).await;
    answer.map(|answer| answer.into_inner().token).map_err(|status| failed(brief(status.message())))
}

/// What a provider says goes into the log and to whoever asks how a listing went: short, and on one line.
fn brief(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(MAX_WORDS_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixListener;
    use tokio_stream::wrappers::UnixListenerStream;
    use tonic::{Response, Status};
    use toolplane_proto::hooks::FetchTokenResponse;
    use toolplane_proto::hooks::token_service_server::{TokenService, TokenServiceServer};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// Gives the domain's own name as its token; for some domains it never answers, or says too much.
    struct Provider;

    #[tonic::async_trait]
    impl TokenService for Provider {
        async fn fetch_token(
            &self,
            request: Request<FetchTokenRequest>,
        ) -> Result<Response<FetchTokenResponse>, Status> {
            let token = request.into_inner().domain;
            match token.as_str() {
                "never" => std::future::pending().await,
                "talks" => return Err(Status::internal(format!("a\n{}", "b".repeat(1000)))),
                _ => {}
            }
            Ok(Response::new(FetchTokenResponse { token }))
        }
    }

    #[tokio::test]
    async fn a_provider_is_asked_whatever_its_path_and_no_longer_than_there_is_time() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a folder, 100% #1?");
        std::fs::create_dir(&folder).unwrap();
        let socket = folder.join("s");
        let connections = UnixListenerStream::new(UnixListener::bind(&socket).unwrap());
        let server = tonic::transport::Server::builder().add_service(TokenServiceServer::new(Provider));
        let mut serving = tokio::task::JoinSet::new();
        serving.spawn(server.serve_with_incoming(connections));
        let source = TokenSource::Service(socket);
        let token = source.fetch(&Domain::parse("a").unwrap(), PATIENCE).await.unwrap();
        assert_eq!(token.as_ref().map(|token| token.expose().as_str()), Some("a"));
        let late = source.fetch(&Domain::parse("never").unwrap(), Duration::from_millis(20)).await;
        assert!(matches!(late, Err(Error::Service(reason)) if reason == "it took too long"));
        let refused = source.fetch(&Domain::parse("talks").unwrap(), PATIENCE).await;
        assert!(matches!(refused, Err(Error::Service(reason)) if reason == format!("a{}", "b".repeat(199))));
    }

    #[tokio::test]
    async fn a_file_is_read_anew_and_what_is_no_token_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let (source, domain) = (TokenSource::File(path.clone()), Domain::parse("a").unwrap());
        assert!(matches!(source.fetch(&domain, PATIENCE).await, Err(Error::File(_))));
        for (text, expected) in [("one\n", Some("one")), ("two", Some("two")), (" \n", None)] {
            std::fs::write(&path, text).unwrap();
            let token = source.fetch(&domain, PATIENCE).await.unwrap();
            assert_eq!(token.as_ref().map(|token| token.expose().as_str()), expected);
        }
        let longest = "x".repeat(MAX_TOKEN_BYTES);
        std::fs::write(&path, format!("{longest}\r\n")).unwrap();
        assert_eq!(source.fetch(&domain, PATIENCE).await.unwrap().unwrap().expose(), &longest);
        for text in ["a\nb".to_owned(), format!("{longest}x"), format!("{}{longest}", " ".repeat(9))] {
            std::fs::write(&path, text).unwrap();
            assert!(matches!(source.fetch(&domain, PATIENCE).await, Err(Error::Token(_))));
        }
        let nobody = TokenSource::Service(folder.path().join("nobody"));
        assert!(matches!(nobody.fetch(&domain, PATIENCE).await, Err(Error::Service(_))));
        assert!(TokenSource::Nowhere.fetch(&domain, PATIENCE).await.unwrap().is_none());
    }
}
