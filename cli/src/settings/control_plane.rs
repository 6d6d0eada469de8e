//! Settings of a control plane.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toolplane_control_plane::options::{Ingest, Options, Refresh, Retention};
use toolplane_control_plane::refresh::TokenSource;
use toolplane_registry::{Secret, schema};
use toolplane_upstream::{connector, guard};

use super::upstreams::SCHEMA_POLICIES;
use super::{DataDir, Reader, registration, tls, upstreams};
use crate::env;

/// Where the gRPC API listens when nothing else is said.
const DEFAULT_LISTEN: &str = "127.0.0.1:7400";

/// How long the database is waited for when nothing else is said: for one step, and before nodes are told.
const DATABASE_PATIENCE: Duration = Duration::from_secs(10);
/// Longest time for one step.
const LONGEST_DATABASE_TIMEOUT: Duration = Duration::from_mins(5);

/// How many versions are kept when nothing else is said.
const DEFAULT_HISTORY: u32 = 100;

/// Longest time for which records are kept, short of for ever.
const MOST_DAYS: u64 = 36_500;

/// Which database the registry is kept in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Database {
    /// A file that the control plane creates.
    Sqlite(PathBuf),
    /// A server shared by control planes. The URL holds a password more often than not.
    Postgres(Secret),
}

/// Where the gRPC API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Listen {
    /// A port.
    Tcp(SocketAddr),
    /// A socket of this machine, for this account alone.
    Unix(PathBuf),
}

/// What flags say about a control plane.
#[derive(Debug, Clone, Default)]
pub(crate) struct Flags<'a> {
    /// `--database-url`.
    pub(crate) database_url: Option<&'a str>,
    /// `--listen`.
    pub(crate) listen: Option<&'a str>,
    /// Certificate files.
    pub(crate) tls: tls::ServerFlags<'a>,
}

/// A control plane's settings.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    /// What the plane is told.
    pub(crate) options: Options,
    /// Where its API listens; absent leaves it to the command.
    pub(crate) listen: Option<Listen>,
}

impl ControlPlane {
    /// Reads the settings.
    pub(crate) fn read(reader: &mut Reader<'_>, dir: &DataDir, flags: &Flags<'_>) -> Self {
        let database = Database::read(reader, dir, flags.database_url);
        let secret_key_file = secret_key_file(reader, &database);
        let guard = guard_policy(reader);
        let policy = reader.word(&env::GATEWAY_SCHEMA_POLICY, &SCHEMA_POLICIES, SCHEMA_POLICIES[0].1);
        let max_depth = reader.integer(&env::GATEWAY_MAX_SCHEMA_DEPTH, (1, 50));
        let (limits, refresh) = (schema::Limits::default(), Refresh::default());
        let defaults = Options::new(database.url().expose(), dir.path());
        let options = Options {
            create_secret_key: secret_key_file.is_none(),
            secret_key_file: secret_key_file.unwrap_or_else(|| dir.secret_key()),
            admin_token_file: reader
                .text(&env::CONTROL_PLANE_ADMIN_TOKEN_FILE)
                .map_or_else(|| dir.admin_token(), PathBuf::from),
            tls: tls::server(reader, flags.tls),
            environment: upstreams::read(reader, policy, &guard),
            refresh: Refresh {
                interval: reader.seconds(&env::GATEWAY_REFRESH_INTERVAL),
                deadline: refresh_timeout(reader).unwrap_or(refresh.deadline),
                concurrency: reader
                    .integer(&env::CONTROL_PLANE_REFRESH_CONCURRENCY, (1, 1024))
                    .unwrap_or(refresh.concurrency),
                auth_token: token_source(reader),
            },
            registration: registration::read(reader),
            database_timeout: database_timeout(reader).unwrap_or(DATABASE_PATIENCE),
            database_grace: reader.seconds(&env::CONTROL_PLANE_DATABASE_GRACE).unwrap_or(DATABASE_PATIENCE),
            history_keep: reader
                .integer(&env::CONTROL_PLANE_HISTORY, (1, 100_000))
                .unwrap_or(DEFAULT_HISTORY),
            retention: retention(reader),
            max_connections: reader
                .integer(&env::CONTROL_PLANE_MAX_CONNECTIONS, (1, 1_000_000))
                .unwrap_or(defaults.max_connections),
            guard,
            ingest: Ingest {
                schema: schema::Limits { max_depth: max_depth.unwrap_or(limits.max_depth), ..limits },
                trusted_domains: reader.texts(&env::GATEWAY_SANITIZER_TRUSTED_DOMAINS),
                default_schema_policy: policy,
            },
            ..defaults
        };
        let listen = flags.listen.or_else(|| reader.text(&env::CONTROL_PLANE_LISTEN));
        let listen = listen.and_then(|text| match Listen::parse(text) {
            Ok(listen) => Some(listen),
            Err(reason) => {
                reader.mistake(&env::CONTROL_PLANE_LISTEN, reason);
                None
            }
        });
        let names_tls = options.tls.is_some() || reader.text(&env::CONTROL_PLANE_TLS_CERT_FILE).is_some();
        tls::refuse_plain(reader, listen.as_ref(), names_tls);
        Self { options, listen }
    }
}

fn retention(reader: &mut Reader<'_>) -> Retention {
    let Retention { audit, nodes } = Retention::default();
    Retention {
        audit: days(reader, &env::CONTROL_PLANE_AUDIT_DAYS, audit),
        nodes: days(reader, &env::CONTROL_PLANE_NODE_DAYS, nodes),
    }
}

/// Days, where 0 is for ever.
fn days(reader: &mut Reader<'_>, variable: &env::Variable, default: Option<Duration>) -> Option<Duration> {
    match reader.integer(variable, (0_u64, MOST_DAYS)) {
        None => default,
        Some(0) => None,
        Some(days) => Some(Duration::from_hours(days.saturating_mul(24))),
    }
}

// ---- Database ----

impl Database {
    /// `--database-url`, or the variable, or a file in the data folder.
    pub(crate) fn read(reader: &mut Reader<'_>, dir: &DataDir, flag: Option<&str>) -> Self {
        let embedded = || Self::Sqlite(dir.database());
        let Some(url) = flag.or_else(|| reader.text(&env::CONTROL_PLANE_DATABASE_URL)) else {
            return embedded();
        };
        if let Some(path) = url.strip_prefix("sqlite:").filter(|path| !path.trim_matches('/').is_empty()) {
            return Self::Sqlite(path.strip_prefix("//").unwrap_or(path).into());
        }
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            return Self::Postgres(Secret::new(url.to_owned()));
        }
        reader.mistake(&env::CONTROL_PLANE_DATABASE_URL, "is neither `sqlite:PATH` nor `postgres://…`");
        embedded()
    }

    /// The form that the store reads.
    pub(crate) fn url(&self) -> Secret {
        match self {
            Self::Sqlite(path) => Secret::new(format!("sqlite:{}", path.display())),
            Self::Postgres(url) => url.clone(),
        }
    }
}

// ---- Listen ----

impl Listen {
    /// Where the API listens unless something else is said.
    pub(crate) fn fallback() -> Result<Self, String> {
        Self::parse(DEFAULT_LISTEN)
    }

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Path::new(path.strip_prefix("//").unwrap_or(path));
            let absolute = path.is_absolute().then(|| Self::Unix(path.to_owned()));
            return absolute.ok_or_else(|| "names a socket by a path that is not absolute".to_owned());
        }
        let address = text.trim().parse().map(Self::Tcp);
        address
            .map_err(|_| "is neither `ADDRESS:PORT`, with the address in numbers, nor `unix:PATH`".to_owned())
    }
}

// ---- parts ----

/// Which addresses upstreams may have.
pub(crate) fn guard_policy(reader: &mut Reader<'_>) -> guard::Policy {
    guard::Policy { allow_private: reader.flag(&env::GATEWAY_URL_GUARD_ALLOW_PRIVATE_RANGES, true) }
}

/// Control planes that share a database have to share the key, so nobody may make one up.
fn secret_key_file(reader: &mut Reader<'_>, database: &Database) -> Option<PathBuf> {
    let file = reader.text(&env::SECRET_KEY_FILE).map(PathBuf::from);
    if file.is_none() && matches!(database, Database::Postgres(_)) {
        reader.mistake(
            &env::SECRET_KEY_FILE,
            "must name a key file, the same for every control plane of a Postgres database \
             (`openssl rand -hex 32` makes a key)",
        );
    }
    file
}

/// No exchange with an upstream takes longer than its connector allows.
fn refresh_timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    let (variable, longest) =
        (&env::CONTROL_PLANE_REFRESH_TIMEOUT, connector::Options::default().total_timeout);
    let timeout = reader.seconds(variable)?;
    if timeout > longest {
        reader.mistake(variable, format!("is longer than {} seconds", longest.as_secs()));
    }
    Some(timeout)
}

fn database_timeout(reader: &mut Reader<'_>) -> Option<Duration> {
    let variable = &env::CONTROL_PLANE_DATABASE_TIMEOUT;
    let timeout = reader.seconds(variable)?;
    if timeout > LONGEST_DATABASE_TIMEOUT {
        reader.mistake(variable, format!("is longer than {} seconds", LONGEST_DATABASE_TIMEOUT.as_secs()));
    }
    Some(timeout)
}

/// The file wins over the fixed token, and a token provider over both.
fn token_source(reader: &mut Reader<'_>) -> TokenSource {
    let fixed = bearer_token(reader);
    match (reader.text(&env::REGISTRY_TOKEN_FILE), fixed) {
        (Some(path), _) => TokenSource::File(path.into()),
        (None, Some(token)) => TokenSource::Fixed(token),
        (None, None) => TokenSource::Nowhere,
    }
}

fn bearer_token(reader: &mut Reader<'_>) -> Option<Secret> {
    reader.parsed(&env::GATEWAY_REGISTRY_AUTH_TOKEN, |token| {
        if token.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
            return Ok(Secret::new(token.to_owned()));
        }
        Err("holds characters that cannot be sent in a header".to_owned())
    })
}
