//! Names as validated values: a domain, a tool's original name, a group.
//!
//! Owns what a name may look like. Never decides which name a tool is published under; that is [`crate::view`].

use std::fmt;
use std::sync::Arc;

use crate::sanitize::is_unprintable;

/// Longest accepted domain name, in bytes.
pub const MAX_DOMAIN_LEN: usize = 128;
/// Longest accepted original tool name, in bytes.
pub const MAX_TOOL_NAME_LEN: usize = 512;
/// The group of a tool whose name names none.
pub const GENERAL: &str = "general";

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Nothing but white space.
    #[error("{0} is blank")]
    Blank(&'static str),
    /// Longer than the limit.
    #[error("{kind} is longer than {limit} bytes")]
    TooLong {
        /// What was parsed.
        kind: &'static str,
        /// The limit, in bytes.
        limit: usize,
    },
    /// Holds a control character, or one that cannot be seen.
    #[error("{0} holds a control or invisible character")]
    Control(&'static str),
}

/// An upstream's public key, unique in the registry.
///
/// Any printable text: people register `sec-edgar`, `Zitefy MCP Server` and `my domain/x`, and none of them
/// should lose its tools for it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(Arc<str>);

/// A tool's name as its upstream advertised it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ToolName(Arc<str>);

/// Tools of a domain that belong together.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(Arc<str>);

// ---- Domain ----

impl Domain {
    /// Checks and wraps a domain name; surrounding white space is not part of it.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self(check("domain", text.trim(), MAX_DOMAIN_LEN)?.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The prefixed form of a tool's name, always accepted as an alias.
    pub fn prefixed(&self, original: &ToolName) -> String {
        format!("{}_{}", self.0, original.0)
    }
}

// ---- ToolName ----

impl ToolName {
    /// Checks and wraps an original tool name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self(check("tool name", text, MAX_TOOL_NAME_LEN)?.into()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

// ---- Group ----

impl Group {
    /// Checks and wraps a group name that was inferred elsewhere.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(Self(check("group", text, MAX_TOOL_NAME_LEN)?.into()))
    }

    /// Infers the group: the segment after `{domain}_` up to the next `_`, otherwise `general`.
    pub fn infer(domain: &Domain, original: &ToolName) -> Self {
        let segment = original
            .as_str()
            .strip_prefix(domain.as_str())
            .and_then(|rest| rest.strip_prefix('_'))
            .and_then(|rest| rest.split('_').next())
            .filter(|segment| !segment.trim().is_empty());
        Self(segment.unwrap_or(GENERAL).into())
    }

    /// The group as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn check<'a>(kind: &'static str, text: &'a str, limit: usize) -> Result<&'a str, Error> {
    if text.trim().is_empty() {
        return Err(Error::Blank(kind));
    }
    if text.len() > limit {
        return Err(Error::TooLong { kind, limit });
    }
    if text.chars().any(is_unprintable) {
        return Err(Error::Control(kind));
    }
    Ok(text)
}

macro_rules! text_traits {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:?})"), &*self.0)
            }
        }
        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    )*};
}
text_traits!(Domain, ToolName, Group); // three identical newtypes; a derive crate would be a dependency for 15 lines

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_the_prefix() {
        for (domain, tool, group) in [
            ("apollo", "apollo_people_search", "people"),
            ("apollo", "apollo_people", "people"),
            ("apollo", "search", "general"),
            ("apollo", "apollo__x", "general"),
            ("sec-edgar", "apollo_people_search", "general"),
        ] {
            let (domain, tool) = (Domain::parse(domain).unwrap(), ToolName::parse(tool).unwrap());
            assert_eq!(Group::infer(&domain, &tool).as_str(), group, "{tool}");
        }
    }

    #[test]
    fn blank_long_and_control_names_are_refused() {
        assert_eq!(Domain::parse("  "), Err(Error::Blank("domain")));
        assert!(matches!(Domain::parse(&"x".repeat(129)), Err(Error::TooLong { .. })));
        assert_eq!(ToolName::parse("a\nb"), Err(Error::Control("tool name")));
        assert_eq!(Domain::parse(" a b ").unwrap().as_str(), "a b");
    }
}
