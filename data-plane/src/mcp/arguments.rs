//! The arguments of the meta-tools themselves.
//!
//! Owns their reading: unknown, missing and mistyped ones are the caller's slip and say what would be right. The
//! arguments meant for a tool stay raw.

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toolplane_registry::RawJson;

use super::brief::brief;
use super::error::Error;

/// Longest `query`, in bytes: a search costs its words times the tools there are.
const MAX_QUERY_BYTES: usize = 1024;

/// How tools are rendered.
#[derive(Debug, Clone, Copy, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    /// JSON.
    #[default]
    Schema,
    /// One-line signatures.
    Signatures,
}

/// Arguments of `discover_tools`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Discover {
    pub(crate) domain: Option<String>,
    pub(crate) group: Option<String>,
    pub(crate) query: Option<String>,
    pub(crate) format: Option<Format>,
}

/// Arguments of `get_tool_schema`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GetSchema {
    pub(crate) tool_name: String,
}

/// Arguments of `execute_tool`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Execute {
    pub(crate) tool_name: String,
    pub(crate) arguments: Option<RawJson>,
}

/// Arguments of `execute_code`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExecuteCode {
    pub(crate) code: String,
}

/// Arguments of `refresh_registry`: none.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Refresh {}

/// Reads the arguments of a meta-tool; absent ones are an empty object.
pub(crate) fn read<T: DeserializeOwned>(meta_tool: &str, arguments: Option<&RawJson>) -> Result<T, Error> {
    let text = arguments.map_or("{}", RawJson::as_str);
    // Only the serde part of the message: its line and column are of a text that the caller never saw.
    serde_json::from_str(text).map_err(|error| {
        let message = error.to_string();
        // A message quotes what it does not like, however long that is.
        let reason = brief(message.split(" at line ").next().unwrap_or_default()).into_owned();
        Error::Usage { meta_tool: meta_tool.to_owned(), reason }
    })
}

impl Discover {
    /// What to search for, unless that is blank.
    pub(crate) fn query(&self) -> Option<&str> {
        self.query.as_deref().filter(|query| !query.trim().is_empty())
    }

    /// Refuses a query that would cost too much.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if self.query.as_ref().is_some_and(|query| query.len() > MAX_QUERY_BYTES) {
            let reason = format!("`query` is longer than {MAX_QUERY_BYTES} bytes; a few words are enough");
            return Err(Error::Usage { meta_tool: "discover_tools".to_owned(), reason });
        }
        Ok(self)
    }
}

impl Execute {
    /// Refuses tool arguments that are no object; `null` is none.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        let Self { tool_name, arguments } = self;
        let arguments = arguments.filter(|raw| raw.as_str() != "null");
        if arguments.as_ref().is_some_and(|raw| !raw.as_str().starts_with('{')) {
            let reason = "`arguments` must be an object, not a text or a list".to_owned();
            return Err(Error::Usage { meta_tool: "execute_tool".to_owned(), reason });
        }
        Ok(Self { tool_name, arguments })
    }
}

impl ExecuteCode {
    /// Refuses code that is blank.
    pub(crate) fn checked(self) -> Result<Self, Error> {
        if self.code.trim().is_empty() { Err(Error::EmptyCode) } else { Ok(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text).unwrap()
    }

    #[test]
    fn slips_are_named() {
        let unknown = read::<Discover>("discover_tools", Some(&raw(r#"{"domian":"x"}"#))).unwrap_err();
        assert!(unknown.to_string().contains("`domian`"), "{unknown}");
        let missing = read::<Execute>("execute_tool", None).unwrap_err();
        assert_eq!(missing.to_string(), "execute_tool: missing field `tool_name`.");
        let mistyped = read::<GetSchema>("get_tool_schema", Some(&raw(r#"{"tool_name":5}"#)));
        assert!(mistyped.is_err());
        assert!(read::<Discover>("discover_tools", Some(&raw(r#"{"format":"yaml"}"#))).is_err());
        assert!(read::<Refresh>("refresh_registry", Some(&raw(r#"{"x":1}"#))).is_err());
    }

    #[test]
    fn a_slip_is_quoted_in_brief_and_a_query_has_a_length() {
        let long = "x".repeat(1 << 20);
        for arguments in [format!(r#"{{"{long}":1}}"#), format!(r#"{{"format":"{long}"}}"#)] {
            let error = read::<Discover>("discover_tools", Some(&raw(&arguments))).unwrap_err();
            assert!(error.to_string().len() < 400, "{error}");
        }
        let query = |bytes| Discover { query: Some("x".repeat(bytes)), ..Discover::default() }.checked();
        assert!(query(MAX_QUERY_BYTES).is_ok());
        assert_eq!(query(MAX_QUERY_BYTES + 1).unwrap_err().code(), "invalid_argument");
    }

    #[test]
    fn tool_arguments_stay_raw_and_must_be_an_object() {
        let read = |text: &str| read::<Execute>("execute_tool", Some(&raw(text))).and_then(Execute::checked);
        let arguments = read(r#"{"tool_name":"t","arguments":{"n":1e400}}"#).unwrap().arguments.unwrap();
        assert_eq!(arguments.as_str(), r#"{"n":1e400}"#);
        assert!(read(r#"{"tool_name":"t","arguments":null}"#).unwrap().arguments.is_none());
        assert!(read(r#"{"tool_name":"t","arguments":"{}"}"#).is_err());
        assert!(read(r#"{"tool_name":"t","arguments":[1]}"#).is_err());
    }
}
