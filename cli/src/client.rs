//! The channel to a control plane: addresses, credentials, and what its refusals mean for the exit code.

use std::io;
use std::path::Path;
use std::time::Duration;

use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::StatusExt as _;
use toolplane_data_plane::Address;
use toolplane_proto::admin::node_service_client::NodeServiceClient;
use toolplane_proto::admin::policy_service_client::PolicyServiceClient;
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::admin::tool_service_client::ToolServiceClient;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_registry::Secret;

use crate::args::Connection;
use crate::env::Variables;
use crate::exit::Failure;
use crate::settings::{self, Credential, Operator, node};

/// How long a control plane may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request may take; registering waits for the upstream.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Tools come with their schemas.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// How much is asked for at once.
pub(crate) const PAGE_SIZE: i32 = 500;

type Authenticated = InterceptedService<Channel, Bearer>;

/// A connected control plane.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    channel: Channel,
    bearer: Bearer,
}

/// Puts the token on every request.
#[derive(Clone)]
pub(crate) struct Bearer(Option<MetadataValue<Ascii>>);

impl Client {
    /// Connects to the first control plane that answers.
    pub(crate) async fn connect(connection: &Connection, variables: &Variables) -> Result<Self, Failure> {
        let operator = settings::read(variables, |reader| {
            let Connection { data_dir, control_planes, token_file } = connection;
            Operator::read(reader, data_dir.data_dir.as_deref(), control_planes, token_file.as_deref())
        })?;
        let addresses = if operator.addresses.is_empty() {
            vec![local_address(&operator)?]
        } else {
            operator.addresses.clone()
        };
        let bearer = Bearer::new(token(&operator, &addresses)?.as_ref())?;
        let mut reasons = Vec::new();
        for address in &addresses {
            if !operator.allow_plain && !is_private(address) {
                return Err(Failure::usage(format!("control plane `{address}` is not reached over https"))
                    .hint("tokens could be read on the way; set TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN=true to accept that"));
            }
            match endpoint(address, operator.ca_file.as_deref())?.connect().await {
                Ok(channel) => return Ok(Self { channel, bearer }),
                Err(error) => reasons.push(format!("`{address}`: {}", innermost(&error))),
            }
        }
        Err(Failure::unreachable(format!("no control plane answers at {}", reasons.join(", ")))
            .hint("start one with `toolplane standalone`, or name one with `--control-plane`"))
    }

    pub(crate) fn upstreams(&self) -> UpstreamServiceClient<Authenticated> {
        UpstreamServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub(crate) fn policies(&self) -> PolicyServiceClient<Authenticated> {
        PolicyServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub(crate) fn tools(&self) -> ToolServiceClient<Authenticated> {
        ToolServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
    }

    pub(crate) fn nodes(&self) -> NodeServiceClient<Authenticated> {
        NodeServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub(crate) fn tokens(&self) -> TokenServiceClient<Authenticated> {
        TokenServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }
}

// ---- Bearer ----

impl Bearer {
    fn new(token: Option<&Secret>) -> Result<Self, Failure> {
        let Some(token) = token else { return Ok(Self(None)) };
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::usage("the token holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(Self(Some(value)))
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer([redacted])")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(value) = &self.0 {
            request.metadata_mut().insert("authorization", value.clone());
        }
        Ok(request)
    }
}

// ---- refusals ----

/// A refusal says what is wrong; a broken connection says that nobody is there.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let from_transport = std::error::Error::source(&status).is_some();
        if status.code() == Code::Unavailable && from_transport {
            return Self::unreachable("the control plane went away before it answered")
                .hint("whether the change was made is uncertain: look before you repeat it");
        }
        let mut failure = Self::failed(status.message());
        let details = status.get_error_details();
        for violation in details.bad_request().into_iter().flat_map(|bad| &bad.field_violations) {
            let line = format!("{}: {}", violation.field, violation.description);
            if !status.message().contains(&violation.description) {
                failure.messages.push(line);
            }
        }
        match status.code() {
            Code::Unauthenticated => {
                failure.hint("name a token with TOOLPLANE_TOKEN, TOOLPLANE_TOKEN_FILE or `--token-file`")
            }
            Code::PermissionDenied => {
                failure.hint("this takes a token with another role: see `toolplane token create --help`")
            }
            Code::DeadlineExceeded => {
                failure.hint("whether the change was made is uncertain: look before you repeat it")
            }
            _ => failure,
        }
    }
}

// ---- finding it ----

/// The gateway of the data folder writes down where its API listens.
fn local_address(operator: &Operator) -> Result<Address, Failure> {
    let path = operator.dir.admin_url();
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            node::address(&text).map_err(|reason| Failure::failed(format!("`{}`: {reason}", path.display())))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = operator.dir.path().display();
            Err(Failure::unreachable(format!("no gateway runs in the data folder `{folder}`")).hint(
                "start one with `toolplane standalone`, or name one with `--control-plane` or `--data-dir`",
            ))
        }
        Err(error) => Err(Failure::failed(format!("`{}` cannot be read: {error}", path.display()))),
    }
}

/// The token of the data folder is shown only to gateways of this machine.
fn token(operator: &Operator, addresses: &[Address]) -> Result<Option<Secret>, Failure> {
    let path = match &operator.credential {
        Credential::Token(token) => return Ok(Some(token.clone())),
        Credential::File(path) => path.clone(),
        Credential::DataDir if addresses.iter().all(is_loopback) => operator.dir.admin_token(),
        Credential::DataDir => return Ok(None),
    };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(Secret::new(text.trim().to_owned()))),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && operator.credential == Credential::DataDir =>
        {
            Ok(None)
        }
        Err(error) => Err(Failure::usage(format!("token file `{}` cannot be read: {error}", path.display()))),
    }
}

fn endpoint(address: &Address, ca_file: Option<&Path>) -> Result<Endpoint, Failure> {
    let text = match address {
        Address::Tcp(uri) => uri.to_string(),
        Address::Unix(path) => format!("unix://{}", path.display()),
    };
    let endpoint = Endpoint::from_shared(text).map_err(Failure::usage)?;
    let endpoint = endpoint.connect_timeout(CONNECT_TIMEOUT).timeout(REQUEST_TIMEOUT);
    let is_tls = matches!(address, Address::Tcp(uri) if uri.scheme_str() == Some("https"));
    if !is_tls {
        return Ok(endpoint);
    }
    // As nodes do it: an authority that is named is the only one trusted.
    let Some(path) = ca_file else {
        return endpoint.tls_config(ClientTlsConfig::new().with_enabled_roots()).map_err(Failure::usage);
    };
    let pem = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("`{}` cannot be read: {error}", path.display())))?;
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(pem));
    endpoint.tls_config(tls).map_err(Failure::usage)
}

fn is_private(address: &Address) -> bool {
    is_loopback(address) || matches!(address, Address::Tcp(uri) if uri.scheme_str() == Some("https"))
}

fn is_loopback(address: &Address) -> bool {
    match address {
        Address::Unix(_) => true,
        Address::Tcp(uri) => uri.host().is_some_and(|host| {
            let host = host.trim_matches(['[', ']']);
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        }),
    }
}

/// The outermost text of a transport error says only that there is one.
fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
