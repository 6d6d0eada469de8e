//! Which protocol an upstream speaks, as it was found out when its tools were listed.
//!
//! Owns the revisions there are and their names. Never finds anything out; that is for `toolplane-upstream`, and
//! the control plane remembers it and tells the nodes.

use std::fmt;

/// What is known of how an upstream speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// Nobody has found out yet.
    #[default]
    Unknown,
    /// The stateless revision, [`STATELESS`]: no handshake and no sessions.
    Stateless,
    /// A revision with a handshake.
    Handshake {
        /// The revision that the handshake settled.
        revision: Revision,
        /// Whether the upstream issued a session id.
        sessions: bool,
    },
}

/// The stateless revision, by the name it has on the wire.
pub const STATELESS: &str = "2026-07-28";

/// A revision with a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Revision {
    /// `2024-11-05`.
    V2024_11_05,
    /// `2025-03-26`.
    V2025_03_26,
    /// `2025-06-18`.
    V2025_06_18,
    /// `2025-11-25`.
    V2025_11_25,
}

/// What the text form of a protocol says behind its revision.
const WITH_SESSIONS: &str = " with sessions";

impl Revision {
    /// Every one, oldest first.
    pub const ALL: [Self; 4] = [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];
    /// The one that is offered to an upstream.
    pub const NEWEST: Self = Self::V2025_11_25;

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// Reads the name on the wire.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }
}

impl Protocol {
    /// Reads the form that `Display` writes. What another release wrote and this one does not know counts as not
    /// known: it will be found out again.
    pub fn parse(text: &str) -> Self {
        if text == STATELESS {
            return Self::Stateless;
        }
        let (revision, sessions) = match text.strip_suffix(WITH_SESSIONS) {
            Some(revision) => (revision, true),
            None => (text, false),
        };
        match Revision::parse(revision) {
            Some(revision) => Self::Handshake { revision, sessions },
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => Ok(()),
            Self::Stateless => f.write_str(STATELESS),
            Self::Handshake { revision, sessions } => {
                f.write_str(revision.as_str())?;
                f.write_str(if *sessions { WITH_SESSIONS } else { "" })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_reads_back_and_what_is_strange_is_not_known() {
        let mut all = vec![Protocol::Unknown, Protocol::Stateless];
        for revision in Revision::ALL {
            all.extend([true, false].map(|sessions| Protocol::Handshake { revision, sessions }));
        }
        for protocol in all {
            assert_eq!(Protocol::parse(&protocol.to_string()), protocol);
        }
        for strange in ["2031-01-01", "2026-07-28 with sessions", "2025-11-25 with", " "] {
            assert_eq!(Protocol::parse(strange), Protocol::Unknown, "{strange}");
        }
    }
}
