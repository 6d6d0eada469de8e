//! Why a change of the registry did not happen.

use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Digest, Domain, ErrorCode, Rejection};
use toolplane_upstream::guard;

use crate::{refresh, snapshots, store};

/// Why nothing was changed (or, for [`Error::Snapshots`], why it is not published yet).
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Admission said no.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Rejected(Vec<Rejection>),
    /// There is no such upstream.
    #[error("domain `{0}` is not registered")]
    NotFound(Domain),
    /// There is one already.
    #[error("upstream `{0}` is already registered")]
    AlreadyExists(Domain),
    /// Somebody else changed it in between.
    #[error("{subject} was changed by somebody else: it is at `{held}`, not at `{expected}`; read it again")]
    Conflict {
        /// What was to be changed.
        subject: String,
        /// The etag it has.
        held: String,
        /// The etag the caller named.
        expected: String,
    },
    /// A pinned upstream lists something else than was approved.
    #[error("upstream `{0}` is pinned and lists other tools than were approved: accept the new digest first")]
    SchemaRefused(Domain),
    /// A rollback decided which tools the upstream offers.
    #[error("upstream `{domain}` is frozen at v{number}: resume it first")]
    Frozen {
        /// Which one.
        domain: Domain,
        /// The version whose tools it has.
        number: u64,
    },
    /// The digest to accept is not the one found.
    #[error("the tools of `{domain}` have another digest than the one to accept")]
    DigestMismatch {
        /// Whose tools.
        domain: Domain,
        /// What was to be accepted.
        expected: Digest,
        /// What was found.
        computed: Digest,
    },
    /// The upstream did not answer as it should.
    #[error("cannot list the tools of `{domain}` at `{url}`: {source}")]
    Upstream {
        /// Which one.
        domain: Domain,
        /// Where, without credentials.
        url: String,
        /// What happened.
        source: Box<refresh::Error>,
    },
    /// A refresh round could not be stored.
    #[error("the refresh could not be stored: {0}")]
    Refresh(String),
    /// The store failed.
    #[error(transparent)]
    Store(store::Error),
    /// Stored, but not published in time.
    #[error(transparent)]
    Snapshots(#[from] snapshots::Error),
}

impl Error {
    pub(super) fn upstream(upstream: &Upstream, source: refresh::Error) -> Self {
        match source {
            refresh::Error::Upstream(toolplane_upstream::Error::Refused(rejection)) => {
                Self::Rejected(vec![rejection])
            }
            source => Self::Upstream {
                domain: upstream.domain.clone(),
                url: guard::display_url(upstream.listing_url()),
                source: Box::new(source),
            },
        }
    }

    pub(super) fn etag(domain: &Domain, held: &str, expected: &str) -> Self {
        Self::Conflict {
            subject: format!("upstream `{domain}`"),
            held: held.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// The kind of failure, for edges.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Rejected(_) => ErrorCode::InvalidInput,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::AlreadyExists(_) => ErrorCode::AlreadyExists,
            Self::Conflict { .. }
            | Self::SchemaRefused(_)
            | Self::Frozen { .. }
            | Self::DigestMismatch { .. }
            | Self::Snapshots(snapshots::Error::Implausible(_)) => ErrorCode::Conflict,
            Self::Upstream { source, .. } => source.code(),
            Self::Refresh(_) => ErrorCode::Unavailable,
            Self::Store(error) | Self::Snapshots(snapshots::Error::Store(error)) => error.code(),
            Self::Snapshots(snapshots::Error::Inconsistent(_) | snapshots::Error::Aborted) => {
                ErrorCode::Internal
            }
            Self::Snapshots(snapshots::Error::Late(_)) => ErrorCode::Timeout,
        }
    }
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        let domain = |subject: &str| {
            subject
                .strip_prefix("upstream `")
                .and_then(|rest| rest.strip_suffix('`'))
                .and_then(|domain| Domain::parse(domain).ok())
        };
        match error {
            store::Error::Conflict { subject, held, expected } => Self::Conflict { subject, held, expected },
            store::Error::NotFound(subject) => match domain(&subject) {
                Some(domain) => Self::NotFound(domain),
                None => Self::Store(store::Error::NotFound(subject)),
            },
            store::Error::AlreadyExists(subject) => match domain(&subject) {
                Some(domain) => Self::AlreadyExists(domain),
                None => Self::Store(store::Error::AlreadyExists(subject)),
            },
            error => Self::Store(error),
        }
    }
}
