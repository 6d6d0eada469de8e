//! Wire to model. Every failure names the field; nothing is repaired silently.

use std::sync::Arc;

use toolplane_registry::policy::CodeModePolicy;
use toolplane_registry::snapshot::{DomainSnapshot, Endpoint, Settings};
use toolplane_registry::upstream::{Header, SessionMode};
use toolplane_registry::{
    Digest, Domain, Group, RawJson, Rejection, RequestKey, Rule, Secret, Tool, ToolName, Version,
};

use crate::sync;

/// A message that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field that must be there is not.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field holds something it must not.
    #[error("field `{field}`: {reason}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

fn invalid(field: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::Invalid { field, reason: reason.to_string() }
}

/// Reads a digest of 32 bytes.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, Error> {
    Digest::from_bytes(bytes).ok_or_else(|| invalid(field, format!("{} bytes are no digest", bytes.len())))
}

/// Reads a domain name.
pub fn domain_name(field: &'static str, text: &str) -> Result<Domain, Error> {
    Domain::parse(text).map_err(|error| invalid(field, error))
}

impl From<sync::Version> for Version {
    fn from(version: sync::Version) -> Self {
        let sync::Version { store_id, number } = version;
        if number == 0 { Self::none() } else { Self::new(store_id, number) }
    }
}

fn request_key(key: sync::RequestKey) -> Option<RequestKey> {
    let sync::RequestKey { id, key, not_after } = key;
    Some(RequestKey { id, key: Secret::new(key.try_into().ok()?), not_after })
}

impl From<sync::CodeModePolicy> for CodeModePolicy {
    fn from(policy: sync::CodeModePolicy) -> Self {
        let sync::CodeModePolicy { deny, deny_destructive } = policy;
        Self { deny, deny_destructive }
    }
}

impl From<sync::Settings> for Settings {
    fn from(settings: sync::Settings) -> Self {
        let sync::Settings { registration_enabled, request_keys, code_mode } = settings;
        // A key of a form that this build does not know is of no use to it, and no harm.
        let request_keys = request_keys.into_iter().filter_map(request_key).collect();
        let code_mode = code_mode.map(Into::into).unwrap_or_default();
        Self { registration_enabled, request_keys, code_mode }
    }
}

impl From<sync::Rejection> for Rejection {
    fn from(rejection: sync::Rejection) -> Self {
        let sync::Rejection { subject, rule, reason } = rejection;
        // A rule this build does not know comes from a newer peer; the words still say what happened.
        Self::new(subject, Rule::parse(&rule).unwrap_or(Rule::Consistency), reason)
    }
}

impl TryFrom<sync::Tool> for Tool {
    type Error = Error;

    fn try_from(tool: sync::Tool) -> Result<Self, Error> {
        let sync::Tool { original_name, group, description, input_schema, output_schema, annotations, meta } =
            tool;
        let json = |field, text: String| RawJson::parse(&text).map_err(|error| invalid(field, error));
        let optional = |field, text: Option<String>| text.map(|text| json(field, text)).transpose();
        Ok(Self {
            original_name: ToolName::parse(&original_name).map_err(|e| invalid("original_name", e))?,
            group: Group::parse(&group).map_err(|e| invalid("group", e))?,
            description,
            input_schema: json("input_schema", input_schema)?,
            output_schema: optional("output_schema", output_schema)?,
            annotations: optional("annotations", annotations)?,
            meta: optional("meta", meta)?,
        })
    }
}

impl TryFrom<sync::Endpoint> for Endpoint {
    type Error = Error;

    fn try_from(endpoint: sync::Endpoint) -> Result<Self, Error> {
        let mode = endpoint.session_mode();
        let sync::Endpoint { url, headers, forward_headers, session_mode, config_id, limits, protocol, tls } =
            endpoint;
        let session_mode = match mode {
            sync::SessionMode::Isolated => SessionMode::Isolated,
            sync::SessionMode::Shared => SessionMode::Shared,
            sync::SessionMode::Unspecified => {
                return Err(invalid("session_mode", format!("{session_mode} is not known")));
            }
        };
        let headers = headers
            .into_iter()
            .map(|sync::Header { name, value }| Header { name, value: Secret::new(value) })
            .collect();
        let forward_headers = forward_headers.map(|sync::HeaderGlobs { globs }| globs);
        let protocol = protocol.as_ref().map(crate::protocol::decode).unwrap_or_default();
        let limits = limits.as_ref().map(TryInto::try_into).transpose()?.unwrap_or_default();
        let tls = tls.map(Into::into).unwrap_or_default();
        Ok(Self { url, headers, tls, forward_headers, session_mode, limits, config_id, protocol })
    }
}

impl TryFrom<sync::Domain> for DomainSnapshot {
    type Error = Error;

    fn try_from(entry: sync::Domain) -> Result<Self, Error> {
        let sync::Domain { domain, description, endpoint, tools, pending, digest: claimed } = entry;
        let claimed = digest("digest", &claimed)?;
        let tools =
            tools.into_iter().map(|tool| tool.try_into().map(Arc::new)).collect::<Result<Vec<_>, _>>()?;
        let endpoint = endpoint.ok_or(Error::Missing("endpoint"))?.try_into()?;
        let entry =
            Self::new(domain_name("domain", &domain)?, description, endpoint, tools).with_pending(pending);
        if entry.digest() != claimed {
            return Err(invalid("digest", format!("does not match the content of domain `{domain}`")));
        }
        Ok(entry)
    }
}
