//! What the registry is to be, as files say it: reading, comparing and writing manifests.
//!
//! # Responsibilities
//!
//! * The form of a manifest, and every mistake in one, with its line.
//! * What has to change so that a control plane holds what a manifest says.
//!
//! # Not here
//!
//! No control plane is asked and no file is opened here; [`crate::commands`] does both.
//!
//! # Layout
//!
//! [`yaml`] is text as a tree, [`read`] the tree as a [`Manifest`], [`resolve`] puts in values that are secret,
//! [`diff`] compares it with what is held, [`mod@write`] makes one of what is held.

pub(crate) mod diff;
pub(crate) mod read;
pub(crate) mod resolve;
pub(crate) mod write;
pub(crate) mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use toolplane_proto::admin as wire;
use toolplane_proto::sync;
use toolplane_registry::policy::AccessPolicy;
use toolplane_registry::tls::Part;
use toolplane_registry::{Limits, Secret};

/// Everything that the files say.
#[derive(Debug, Default)]
pub(crate) struct Manifest {
    /// Whether any file lists upstreams, be it none: only then may those it leaves out be removed.
    pub(crate) lists_upstreams: bool,
    pub(crate) upstreams: Vec<Upstream>,
    /// Absent: the policy stays as it is.
    pub(crate) policy: Option<Policy>,
}

/// An upstream as it is to be.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) place: Place,
    pub(crate) domain: String,
    pub(crate) url: String,
    pub(crate) discovery_url: String,
    pub(crate) description: String,
    /// Absent: they stay as they are.
    pub(crate) headers: Option<Vec<Header>>,
    /// Absent: how connections are secured stays as it is.
    pub(crate) tls: Option<Tls>,
    /// Absent: how a token is obtained stays as it is.
    pub(crate) oauth: Option<OAuth>,
    /// Absent: whatever may pass is passed on.
    pub(crate) forward_headers: Option<Vec<String>>,
    pub(crate) allowed_tools: Option<Vec<String>>,
    pub(crate) denied_tools: Vec<String>,
    pub(crate) schema_policy: wire::SchemaPolicy,
    pub(crate) session_mode: sync::SessionMode,
    /// What is left out follows the nodes.
    pub(crate) limits: Limits,
}

/// A header that the upstream is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) place: Place,
    /// In lower case.
    pub(crate) name: String,
    pub(crate) value: Source,
}

/// How connections are to be secured.
#[derive(Debug, Default)]
pub(crate) struct Tls {
    /// What is not among them is left to the system.
    pub(crate) settings: BTreeMap<Part, Setting>,
}

/// How a token for listing is to be obtained.
#[derive(Debug, Default)]
pub(crate) struct OAuth {
    /// All but the secret; what is left out is not set.
    pub(crate) settings: toolplane_registry::OAuth,
    pub(crate) client_secret: Option<Setting>,
}

/// One setting that may be secret.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) place: Place,
    pub(crate) value: Source,
}

/// Where a value comes from that may be secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// The environment variable of this name.
    Env(String),
    /// The content of this file.
    File(PathBuf),
    /// The value itself.
    Given(Secret),
    /// The control plane's own: it stays as it is.
    Unchanged,
}

/// The access policy as it is to be.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) place: Place,
    /// Absent: none is to be set.
    pub(crate) access: Option<AccessPolicy>,
}

/// A line of a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Place {
    /// Which of the files, counted from 0: mistakes are told in the order in which files were named.
    pub(crate) index: usize,
    pub(crate) file: String,
    pub(crate) line: usize,
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mistake {
    pub(crate) place: Place,
    pub(crate) reason: String,
}

impl Place {
    /// Another line of the same file.
    pub(crate) fn at(&self, line: usize) -> Self {
        Self { line, ..self.clone() }
    }

    /// A mistake here.
    pub(crate) fn mistake(&self, reason: impl Into<String>) -> Mistake {
        Mistake { place: self.clone(), reason: reason.into() }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.reason)
    }
}
