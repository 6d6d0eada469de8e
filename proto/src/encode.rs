//! Model to wire. Cannot fail: whatever the model holds can be said.

use std::collections::BTreeMap;
use std::sync::Arc;

use toolplane_registry::policy::CodeModePolicy;
use toolplane_registry::snapshot::{DomainSnapshot, Endpoint, Settings};
use toolplane_registry::upstream::{Header, SessionMode};
use toolplane_registry::{Digest, Domain, RawJson, Rejection, RequestKey, Snapshot, Tool, Version};

use crate::sync;

impl From<&Version> for sync::Version {
    fn from(version: &Version) -> Self {
        Self { store_id: version.store_id().to_owned(), number: version.number() }
    }
}

impl From<&Rejection> for sync::Rejection {
    fn from(rejection: &Rejection) -> Self {
        let Rejection { subject, rule, reason } = rejection;
        Self { subject: subject.clone(), rule: rule.as_str().to_owned(), reason: reason.clone() }
    }
}

impl From<&Settings> for sync::Settings {
    fn from(settings: &Settings) -> Self {
        let Settings { registration_enabled, request_keys, code_mode } = settings;
        let request_keys = request_keys.iter().map(Into::into).collect();
        let code_mode = (!code_mode.is_silent()).then(|| code_mode.into());
        Self { registration_enabled: *registration_enabled, request_keys, code_mode }
    }
}

impl From<&CodeModePolicy> for sync::CodeModePolicy {
    fn from(policy: &CodeModePolicy) -> Self {
        let CodeModePolicy { deny, deny_destructive } = *policy;
        Self { deny, deny_destructive }
    }
}

impl From<&RequestKey> for sync::RequestKey {
    fn from(key: &RequestKey) -> Self {
        let RequestKey { id, key, not_after } = key;
        Self { id: id.clone(), key: key.expose().to_vec(), not_after: *not_after }
    }
}

impl From<SessionMode> for sync::SessionMode {
    fn from(mode: SessionMode) -> Self {
        match mode {
            SessionMode::Isolated => Self::Isolated,
            SessionMode::Shared => Self::Shared,
        }
    }
}

impl From<&Header> for sync::Header {
    fn from(header: &Header) -> Self {
        let Header { name, value } = header;
        Self { name: name.clone(), value: value.expose().clone() }
    }
}

impl From<&Endpoint> for sync::Endpoint {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { url, headers, tls, forward_headers, session_mode, limits, config_id, protocol } =
            endpoint;
        Self {
            url: url.clone(),
            headers: headers.iter().map(Into::into).collect(),
            forward_headers: forward_headers.clone().map(|globs| sync::HeaderGlobs { globs }),
            session_mode: sync::SessionMode::from(*session_mode).into(),
            limits: crate::limits::said(limits),
            config_id: config_id.clone(),
            protocol: crate::protocol::encode(*protocol),
            tls: crate::tls::said(tls),
        }
    }
}

impl From<&Tool> for sync::Tool {
    fn from(tool: &Tool) -> Self {
        let Tool { original_name, group, description, input_schema, output_schema, annotations, meta } = tool;
        let text = |json: &Option<RawJson>| json.as_ref().map(|json| json.as_str().to_owned());
        Self {
            original_name: original_name.to_string(),
            group: group.to_string(),
            description: description.clone(),
            input_schema: input_schema.as_str().to_owned(),
            output_schema: text(output_schema),
            annotations: text(annotations),
            meta: text(meta),
        }
    }
}

impl From<&DomainSnapshot> for sync::Domain {
    fn from(entry: &DomainSnapshot) -> Self {
        Self {
            domain: entry.domain().to_string(),
            description: entry.description().to_owned(),
            endpoint: Some(entry.endpoint().into()),
            tools: entry.tools().iter().map(|tool| tool.as_ref().into()).collect(),
            pending: entry.pending(),
            digest: entry.digest().as_bytes().to_vec(),
        }
    }
}

/// The whole snapshot as one update, for a node that holds nothing of use and for the last-known-good file.
pub fn full_update(snapshot: &Snapshot, nonce: String) -> sync::Update {
    sync::Update { full: true, ..delta_update(snapshot, &BTreeMap::new(), nonce) }
}

/// The way from the domains held to the snapshot.
pub fn delta_update(snapshot: &Snapshot, held: &BTreeMap<Domain, Digest>, nonce: String) -> sync::Update {
    let changed = changed(snapshot, held).map(|entry| entry.as_ref().into()).collect();
    sync::Update { changed, ..bare_update(snapshot, held, nonce) }
}

/// The same without the domains that changed, for whoever has them encoded already.
pub fn bare_update(snapshot: &Snapshot, held: &BTreeMap<Domain, Digest>, nonce: String) -> sync::Update {
    let domains = snapshot.domains();
    sync::Update {
        nonce,
        version: Some(snapshot.version().into()),
        full: false,
        changed: Vec::new(),
        removed: held
            .keys()
            .filter(|domain| !domains.contains_key(*domain))
            .map(ToString::to_string)
            .collect(),
        digest: snapshot.digest().as_bytes().to_vec(),
        settings: Some(snapshot.settings().into()),
    }
}

/// The domains of the snapshot that are not held as they are there.
pub fn changed<'a>(
    snapshot: &'a Snapshot,
    held: &'a BTreeMap<Domain, Digest>,
) -> impl Iterator<Item = &'a Arc<DomainSnapshot>> {
    let entries = snapshot.domains().iter();
    entries.filter(|(domain, entry)| held.get(*domain) != Some(&entry.digest())).map(|(_, entry)| entry)
}
