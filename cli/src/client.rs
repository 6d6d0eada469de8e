//! The channel to a control plane: addresses, credentials, and what its refusals mean for the exit code.

use std::io;
use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt as _;
use toolplane_data_plane::Address;
use toolplane_data_plane::channel::{self, Connector};
use toolplane_proto::admin::node_service_client::NodeServiceClient;
use toolplane_proto::admin::policy_service_client::PolicyServiceClient;
use toolplane_proto::admin::snapshot_service_client::SnapshotServiceClient;
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::admin::tool_service_client::ToolServiceClient;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_registry::{Rule, Secret};

use crate::args::Connection;
use crate::commands::listen::settings_failure;
use crate::env::Variables;
use crate::exit::{Failure, Kind};
use crate::settings::{self, Credential, Operator, node};

/// How long a control plane may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a gateway of this machine that has just been started may take to be there.
const START_PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked for.
const START_PACE: Duration = Duration::from_millis(100);
/// How long one request may take; registering waits for the upstream.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);
/// Tools come with their schemas.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// How much is asked for at once.
pub(crate) const PAGE_SIZE: i32 = 500;

const UNCERTAIN: &str = "whether the change was made is uncertain: look before you repeat it";
const NAME_A_TOKEN: &str = "name a token with TOOLPLANE_TOKEN, TOOLPLANE_TOKEN_FILE or `--token-file`";

type Authenticated = InterceptedService<Channel, Bearer>;

/// A connected control plane.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    channel: Channel,
    bearer: Bearer,
}

/// Puts the token on every request.
#[derive(Clone)]
pub(crate) struct Bearer(MetadataValue<Ascii>);

impl Client {
    /// Connects to the first control plane that answers. One on this machine is given a moment to start.
    pub(crate) async fn connect(connection: &Connection, variables: &Variables) -> Result<Self, Failure> {
        let operator = settings::read(variables, |reader| {
            let Connection { data_dir, control_planes, token_file } = connection;
            Operator::read(reader, data_dir.data_dir.as_deref(), control_planes, token_file.as_deref())
        })?;
        let is_local = operator.addresses.iter().all(is_loopback);
        let deadline = Instant::now() + START_PATIENCE;
        loop {
            match Self::to(&operator).await {
                Err(failure)
                    if failure.kind == Kind::Unreachable && is_local && Instant::now() < deadline =>
                {
                    tokio::time::sleep(START_PACE).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn to(operator: &Operator) -> Result<Self, Failure> {
        let addresses = if operator.addresses.is_empty() {
            vec![local_address(operator)?]
        } else {
            operator.addresses.clone()
        };
        let bearer = token(operator, &addresses)?.as_ref().map(Bearer::new).transpose()?;
        if addresses.iter().any(Address::is_tls) {
            operator.tls.check().map_err(|rejections| settings_failure(&rejections))?;
        }
        let mut reasons = Vec::new();
        for address in &addresses {
            if !operator.allow_plain && !is_private(address) {
                return Err(Failure::usage(format!("control plane `{address}` is not reached over https"))
                    .hint("tokens could be read on the way; set TOOLPLANE_CONTROL_PLANE_ALLOW_PLAIN=true to accept that"));
            }
            match reach(address, &operator.tls).await {
                Ok(channel) => {
                    let bearer = bearer.ok_or_else(|| no_token(operator, &addresses))?;
                    return Ok(Self { channel, bearer });
                }
                Err(reason) => reasons.push(format!("`{address}`: {reason}")),
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

    pub(crate) fn snapshots(&self) -> SnapshotServiceClient<Authenticated> {
        SnapshotServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }

    pub(crate) fn tokens(&self) -> TokenServiceClient<Authenticated> {
        TokenServiceClient::with_interceptor(self.channel.clone(), self.bearer.clone())
    }
}

// ---- Bearer ----

impl Bearer {
    fn new(token: &Secret) -> Result<Self, Failure> {
        let mut value = MetadataValue::try_from(format!("Bearer {}", token.expose()))
            .map_err(|_| Failure::usage("the token holds characters that no token has"))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl std::fmt::Debug for Bearer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bearer([redacted])")
    }
}

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("authorization", self.0.clone());
        Ok(request)
    }
}

// ---- refusals ----

/// A refusal says what is wrong; a broken connection says that nobody is there.
impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        // A connection that breaks has many codes, and nothing but a connection has a source.
        if std::error::Error::source(&status).is_some() {
            return Self::unreachable("the control plane went away before it answered").hint(UNCERTAIN);
        }
        if status.code() == Code::Unavailable {
            return Self::unreachable(status.message()).hint(UNCERTAIN);
        }
        let mut failure = Self::failed(status.message());
        let details = status.get_error_details();
        let violations = details.bad_request().map(|bad| bad.field_violations.as_slice()).unwrap_or_default();
        if !violations.is_empty() {
            // The message says the same, all on one line.
            failure.messages = violations
                .iter()
                .map(|violation| format!("{}: {}", violation.field, without_rule(&violation.description)))
                .collect();
        }
        match status.code() {
            Code::Unauthenticated => failure.hint(NAME_A_TOKEN),
            Code::PermissionDenied => {
                failure.hint("this takes a token with another role: see `toolplane token create --help`")
            }
            Code::DeadlineExceeded => failure.hint(UNCERTAIN),
            _ => failure,
        }
    }
}

/// The name of the rule is for programs; the reason says what people need to know.
fn without_rule(description: &str) -> &str {
    match description.split_once(": ") {
        Some((rule, reason)) if Rule::parse(rule).is_some() => reason,
        _ => description,
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

/// Every request takes a token, so nothing is asked without one.
fn no_token(operator: &Operator, addresses: &[Address]) -> Failure {
    let path = operator.dir.admin_token();
    let reason = if addresses.iter().all(is_loopback) {
        format!("a token is needed, and `{}` does not exist", path.display())
    } else {
        format!("a token is needed; `{}` is shown to gateways of this machine alone", path.display())
    };
    Failure::failed(reason).hint(NAME_A_TOKEN)
}

/// Connects, and asks for a sign of life: a server that refuses a client certificate says so only after the handshake.
async fn reach(address: &Address, tls: &toolplane_tls::client::Files) -> Result<Channel, String> {
    let connector = Connector::new(address, tls);
    let endpoint = channel::endpoint(address).connect_timeout(CONNECT_TIMEOUT).timeout(REQUEST_TIMEOUT);
    let connected = endpoint.connect_with_connector(connector.clone()).await;
    let channel = connected.map_err(|error| channel::cause(&error))?;
    let mut question = Request::new(HealthCheckRequest::default());
    question.set_timeout(CONNECT_TIMEOUT);
    match HealthClient::new(channel.clone()).check(question).await {
        Ok(health) if health.get_ref().status() == ServingStatus::NotServing => {
            Err("it cannot read its database".to_owned())
        }
        // Whatever else it answers, it answers.
        Ok(_) => Ok(channel),
        Err(status) => match std::error::Error::source(&status) {
            None => Ok(channel),
            Some(source) => Err(connector.objection().unwrap_or_else(|| channel::cause(source))),
        },
    }
}

fn is_private(address: &Address) -> bool {
    is_loopback(address) || address.is_tls()
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

#[cfg(test)]
mod tests {
    use tonic_types::{ErrorDetails, FieldViolation};

    use super::*;

    #[test]
    fn every_rejection_is_said_once() {
        let violations = vec![
            FieldViolation::new("upstream `a`", "url: has no host"),
            FieldViolation::new("page_size", "must not be negative: it is -1"),
        ];
        let message = "upstream `a`: has no host; `page_size`: must not be negative: it is -1";
        let details = ErrorDetails::with_bad_request(violations);
        let failure = Failure::from(Status::with_error_details(Code::InvalidArgument, message, details));
        assert_eq!(
            failure.messages,
            ["upstream `a`: has no host", "page_size: must not be negative: it is -1"]
        );
        let plain = Failure::from(Status::not_found("there is no tool `a`"));
        assert_eq!(plain.messages, ["there is no tool `a`"]);
    }

    #[test]
    fn a_connection_that_breaks_in_the_middle_of_an_answer_is_a_control_plane_that_is_gone() {
        let broken = Status::from_error(io::Error::from(io::ErrorKind::BrokenPipe).into());
        assert_eq!(Failure::from(broken).kind, Kind::Unreachable);
    }
}
