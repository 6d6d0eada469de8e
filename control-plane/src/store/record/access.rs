//! Who may do what, and who did.

use crate::store::Millis;

/// An audit record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditEntry {
    /// Token id, signed-token subject, `environment` or `system`.
    pub actor: String,
    /// For instance `upstream.create`.
    pub action: &'static str,
    /// For instance `upstream apollo`.
    pub subject: String,
    /// Words for people; never holds a secret.
    pub detail: String,
    /// When.
    pub at: Millis,
}

/// An audit record as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// Ascending.
    pub id: i64,
    /// When.
    pub at: Millis,
    /// Who.
    pub actor: String,
    /// What.
    pub action: String,
    /// On what.
    pub subject: String,
    /// Words for people.
    pub detail: String,
    /// The version the change made; 0 where it made none.
    pub version: u64,
}

/// What a token allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Follows the registry and asks for refreshes; nothing else, unless its token may register.
    Node,
    /// Reads everything but tokens and audit records.
    Viewer,
    /// Reads like a viewer, writes upstreams.
    Registrar,
    /// Everything.
    Admin,
}

/// A bearer token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its public name.
    pub id: String,
    /// What it is for.
    pub description: String,
    /// What it allows.
    pub role: Role,
    /// Whether a node may pass registrations on; means nothing for other roles.
    pub may_register: bool,
    /// When it was made.
    pub created_at: Millis,
    /// When it ends; absent: never.
    pub expires_at: Option<Millis>,
    /// When it was revoked.
    pub revoked_at: Option<Millis>,
}

impl Role {
    /// The stable name used in the database and in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Viewer => "viewer",
            Self::Registrar => "registrar",
            Self::Admin => "admin",
        }
    }

    /// Reads the form that [`Role::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Node, Self::Viewer, Self::Registrar, Self::Admin]
            .into_iter()
            .find(|role| role.as_str() == text)
    }
}
