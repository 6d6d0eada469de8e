//! An MCP server whose answers stand ready before they are asked for, so that what is measured is in front of it.
//!
//! A process of its own, with one address for any number of upstreams: `/ERA/CATALOG/mcp`. Era and catalog decide how
//! it is spoken to and what it lists; a call is answered by the ending of its tool's name, whatever the arguments.
//! `GET /count` tells how many requests there were; `GET /arrived/NAME` and `GET /canceled/NAME` are answered when that
//! has happened to the call whose argument is that. Keeps no sessions, though it issues ids for them and insists on seeing
//! one.

mod answers;
pub(crate) mod catalog;
mod held;
mod serve;

pub(crate) use answers::{ANSWER_MARK, SLOW_SECONDS};
pub(crate) use held::{micros_between, nanos};
pub(crate) use serve::run;

/// How an upstream is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Era {
    /// The revision without a handshake.
    Stateless,
    /// A handshake, and no session id.
    Handshake,
    /// A handshake that issues a session id.
    Sessions,
}

impl Era {
    /// In paths, tool names and domains.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stateless => "stateless",
            Self::Handshake => "handshake",
            Self::Sessions => "sessions",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        [Self::Stateless, Self::Handshake, Self::Sessions].into_iter().find(|era| era.name() == name)
    }
}

/// The path of an upstream.
pub(crate) fn path(era: Era, catalog: &str) -> String {
    format!("/{}/{catalog}/mcp", era.name())
}
