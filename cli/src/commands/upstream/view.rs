//! How an upstream is shown. Values of headers, and keys, never come back, so they cannot be shown.

use std::collections::BTreeMap;

use serde::Serialize;
use toolplane_proto::{admin as wire, protocol, sync};

use super::oauth::Shown;
use super::tls::Tls;
use crate::limits;
use crate::output::{Table, table};

/// An upstream in the form that is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Upstream {
    pub(crate) domain: String,
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    discovery_url: Option<String>,
    description: String,
    header_names: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    forward_headers: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    allowed_tools: Option<Vec<String>>,
    denied_tools: Vec<String>,
    schema_policy: &'static str,
    session_mode: &'static str,
    /// By name; times in seconds.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    limits: BTreeMap<&'static str, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<Tls>,
    #[serde(skip_serializing_if = "Option::is_none")]
    oauth: Option<Shown>,
    owner: &'static str,
    etag: String,
    create_time: Option<String>,
    update_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frozen_at_version: Option<u64>,
    listing: Option<Listing>,
}

#[derive(Debug, Serialize)]
struct Listing {
    attempt_time: Option<String>,
    success_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    tools_listed: u32,
    tools_admitted: u32,
    digest: String,
    /// The revision of MCP that it was found to speak, and whether with sessions.
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
}

/// What a refresh did to one domain.
#[derive(Debug, Serialize)]
pub(crate) struct Refreshed {
    pub(crate) domain: String,
    added: Vec<String>,
    removed: Vec<String>,
    pub(crate) tool_count: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    /// It was not asked, because a rollback decided which tools it offers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) frozen_at_version: Option<u64>,
}

// ---- from the wire ----

impl From<wire::Upstream> for Upstream {
    fn from(upstream: wire::Upstream) -> Self {
        let (schema_policy, owner) = (upstream.schema_policy(), upstream.owner());
        let session_mode = upstream.session_mode();
        let filter = upstream.filter.unwrap_or_default();
        Self {
            domain: upstream.domain,
            url: upstream.url,
            discovery_url: filled(upstream.discovery_url),
            description: upstream.description,
            header_names: upstream.header_names,
            forward_headers: upstream.forward_headers.map(|headers| headers.globs),
            allowed_tools: filter.allowed.map(|allowed| allowed.globs),
            denied_tools: filter.denied,
            schema_policy: match schema_policy {
                wire::SchemaPolicy::Pin => "pin",
                wire::SchemaPolicy::Accept | wire::SchemaPolicy::Unspecified => "accept",
            },
            session_mode: match session_mode {
                sync::SessionMode::Shared => "shared",
                sync::SessionMode::Isolated | sync::SessionMode::Unspecified => "isolated",
            },
            limits: limits::set(&limits::from_wire(upstream.limits.as_ref())).collect(),
            tls: upstream.tls.map(Tls::from),
            oauth: upstream.oauth.map(Shown::from),
            owner: match owner {
                wire::Owner::Environment => "environment",
                wire::Owner::Api | wire::Owner::Unspecified => "api",
            },
            etag: upstream.etag,
            create_time: upstream.create_time.map(|time| time.to_string()),
            update_time: upstream.update_time.map(|time| time.to_string()),
            frozen_at_version: Some(upstream.frozen_at_version).filter(|version| *version > 0),
            listing: upstream.listing.map(Listing::from),
        }
    }
}

impl From<wire::Listing> for Listing {
    fn from(listing: wire::Listing) -> Self {
        let wire::Listing {
            attempt_time,
            success_time,
            error,
            tools_listed,
            tools_admitted,
            digest,
            protocol,
        } = listing;
        Self {
            attempt_time: attempt_time.map(|time| time.to_string()),
            success_time: success_time.map(|time| time.to_string()),
            error: filled(error),
            tools_listed,
            tools_admitted,
            digest,
            protocol: protocol.and_then(|protocol| filled(protocol::decode(&protocol).to_string())),
        }
    }
}

impl From<wire::RefreshedDomain> for Refreshed {
    fn from(refreshed: wire::RefreshedDomain) -> Self {
        let wire::RefreshedDomain { domain, added, removed, tool_count, error, frozen_at_version } =
            refreshed;
        let frozen_at_version = Some(frozen_at_version).filter(|version| *version > 0);
        // What is meant to be so is no error.
        let error = filled(error).filter(|_| frozen_at_version.is_none());
        Self { domain, added, removed, tool_count, error, frozen_at_version }
    }
}

// ---- for people ----

impl Upstream {
    /// Why its tools are not known; `None` where they are.
    pub(crate) fn why_unlisted(&self) -> Option<&str> {
        match &self.listing {
            Some(Listing { success_time: Some(_), .. }) => None,
            Some(Listing { error: Some(error), .. }) => Some(error),
            _ => Some("it has not been asked"),
        }
    }

    /// Everything about one upstream.
    pub(crate) fn details(&self) -> String {
        let list = |items: &[String]| items.join(", ");
        let [mut tools, mut digest, mut error, mut protocol] = [const { String::new() }; 4];
        if let Some(listing) = &self.listing {
            tools = format!("{} of {} listed", listing.tools_admitted, listing.tools_listed);
            digest.clone_from(&listing.digest);
            protocol = listing.protocol.clone().unwrap_or_default();
            error = listing.error.clone().unwrap_or_default();
        }
        let accept = match &self.listing {
            Some(listing) if self.schema_policy == "pin" && listing.success_time.is_some() => {
                format!("toolplane upstream accept {} --digest {}", self.domain, listing.digest)
            }
            _ => String::new(),
        };
        table::details(&[
            ("domain", self.domain.clone()),
            ("url", self.url.clone()),
            ("discovery url", self.discovery_url.clone().unwrap_or_default()),
            ("description", self.description.clone()),
            ("headers", list(&self.header_names)),
            (
                "forwards",
                self.forward_headers.as_ref().map_or_else(String::new, |globs| match globs.as_slice() {
                    [] => "nothing".to_owned(),
                    globs => list(globs),
                }),
            ),
            ("allowed tools", self.allowed_tools.as_deref().map(list).unwrap_or_default()),
            ("denied tools", list(&self.denied_tools)),
            ("schema policy", self.schema_policy.to_owned()),
            ("session mode", self.session_mode.to_owned()),
            ("limits", {
                let limits = self.limits.iter().map(|(name, value)| format!("{name} {value}"));
                limits.collect::<Vec<_>>().join(", ")
            }),
            ("authorities", self.tls.as_ref().map(Tls::authorities).unwrap_or_default()),
            ("client cert", self.tls.as_ref().map(Tls::client).unwrap_or_default()),
            ("oauth", self.oauth.as_ref().map(Shown::line).unwrap_or_default()),
            ("protocol", protocol),
            ("owner", self.owner.to_owned()),
            ("tools", tools),
            ("frozen at", self.frozen_at_version.map(|version| format!("v{version}")).unwrap_or_default()),
            ("digest", digest),
            ("accept with", accept),
            ("error", error),
        ])
    }
}

/// One line per upstream.
pub(crate) fn table(upstreams: &[Upstream]) -> String {
    let mut table = Table::new(&["DOMAIN", "TOOLS", "STATE", "PROTOCOL", "OWNER", "URL"]);
    for upstream in upstreams {
        let (tools, state) = match &upstream.listing {
            Some(Listing { error: Some(error), tools_admitted, .. }) => {
                (tools_admitted.to_string(), error.clone())
            }
            Some(Listing { tools_admitted, success_time: Some(_), .. }) => {
                (tools_admitted.to_string(), "ok".to_owned())
            }
            _ => ("–".to_owned(), "not listed yet".to_owned()),
        };
        let state = upstream.frozen_at_version.map_or(state, |version| format!("frozen at v{version}"));
        let protocol = upstream.listing.as_ref().and_then(|listing| listing.protocol.clone());
        let (protocol, owner) = (protocol.unwrap_or_else(|| "–".to_owned()), upstream.owner.to_owned());
        table.row([upstream.domain.clone(), tools, state, protocol, owner, upstream.url.clone()]);
    }
    table.render("no upstreams are registered")
}

/// One line per refreshed domain.
pub(crate) fn refreshed(refreshed: &[Refreshed]) -> String {
    let mut table = Table::new(&["DOMAIN", "TOOLS", "ADDED", "REMOVED", "STATE"]);
    for one in refreshed {
        let state = match (&one.error, one.frozen_at_version) {
            (Some(error), _) => error.clone(),
            (None, Some(version)) => format!("frozen at v{version}"),
            (None, None) => "ok".to_owned(),
        };
        let (added, removed) = (one.added.len().to_string(), one.removed.len().to_string());
        table.row([one.domain.clone(), one.tool_count.to_string(), added, removed, state]);
    }
    table.render("there was nothing to refresh")
}

/// An empty text on the wire means that there is none.
pub(crate) fn filled(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;

    fn upstream(domain: &str, listing: Option<wire::Listing>) -> Upstream {
        Upstream::from(wire::Upstream {
            domain: domain.into(),
            url: "http://crm:8080/mcp".into(),
            description: "contacts and deals".into(),
            header_names: vec!["authorization".into()],
            filter: Some(wire::ToolFilter { allowed: None, denied: vec!["*_delete".into()] }),
            owner: wire::Owner::Environment.into(),
            limits: Some(sync::Limits { max_queue: Some(0), ..sync::Limits::default() }),
            listing,
            ..wire::Upstream::default()
        })
    }

    fn listing(error: &str) -> wire::Listing {
        wire::Listing {
            success_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            error: error.into(),
            tools_listed: 5,
            tools_admitted: 4,
            digest: "ab".repeat(32),
            protocol: Some(sync::Protocol {
                era: sync::Era::Handshake.into(),
                version: "2025-11-25".into(),
                issues_sessions: true,
            }),
            ..wire::Listing::default()
        }
    }

    #[test]
    fn what_was_never_listed_has_a_reason() {
        let failed = wire::Listing { success_time: None, ..listing("connection refused") };
        assert_eq!(upstream("a", Some(failed)).why_unlisted(), Some("connection refused"));
        assert!(upstream("a", None).why_unlisted().is_some());
        assert_eq!(upstream("a", Some(listing("connection refused"))).why_unlisted(), None, "it was, once");
    }

    #[test]
    fn upstreams_are_shown_to_people_and_programs() {
        let upstreams = [
            upstream("crm", Some(listing(""))),
            upstream("files", Some(wire::Listing { protocol: None, ..listing("connection refused") })),
            upstream("new", None),
            Upstream { frozen_at_version: Some(7), ..upstream("held", Some(listing(""))) },
        ];
        insta::assert_snapshot!("upstream_table", table(&upstreams));
        insta::assert_snapshot!("upstream_details", upstreams[0].details());
        let pinned = Upstream { schema_policy: "pin", ..upstream("crm", Some(listing(""))) };
        insta::assert_snapshot!("upstream_pinned", pinned.details());
        insta::assert_snapshot!("upstream_json", serde_json::to_string_pretty(&upstreams[0]).unwrap());
    }
}
