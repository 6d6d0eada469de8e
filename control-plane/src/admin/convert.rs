//! Admin messages from and to the model. Secrets go in and never come out.

use prost_types::Timestamp;
use tonic::Status;
use toolplane_proto::{admin, sync};
use toolplane_registry::limits::{Limit, Limits};
use toolplane_registry::oauth;
use toolplane_registry::tls::Part;
use toolplane_registry::upstream::{Header, Owner, SchemaPolicy, SessionMode, ToolFilter, Upstream};
use toolplane_registry::{Domain, Secret};

use super::status::invalid;
use crate::snapshots::Published;
use crate::store::{Listing, Millis, Registered, Role};

pub(super) fn time(at: Millis) -> Timestamp {
    let nanos = i32::try_from(at.rem_euclid(1000) * 1_000_000).unwrap_or(0);
    Timestamp { seconds: at.div_euclid(1000), nanos }
}

pub(super) fn millis(at: &Timestamp) -> Millis {
    at.seconds.saturating_mul(1000).saturating_add(i64::from(at.nanos) / 1_000_000)
}

pub(super) fn domain(text: &str) -> Result<Domain, Status> {
    Domain::parse(text).map_err(|error| invalid("domain", error))
}

/// Fields in which two forms of an upstream differ, secret ones by their values: the names that an update mask gives
/// them, sorted.
pub(super) fn changed_fields(before: &Upstream, after: &Upstream) -> Vec<String> {
    let oauth = |part| (oauth::Part::path(part), before.oauth.get(part) != after.oauth.get(part));
    let tls = |part| (Part::path(part), before.tls.get(part) != after.tls.get(part));
    let fields = [
        ("description", before.description != after.description),
        ("discovery_url", before.discovery_url != after.discovery_url),
        ("filter", before.filter != after.filter),
        ("forward_headers", before.forward_headers != after.forward_headers),
        ("headers", before.headers != after.headers),
        ("limits", before.limits != after.limits),
        oauth(oauth::Part::AuthMethod),
        oauth(oauth::Part::ClientId),
        oauth(oauth::Part::ClientSecret),
        oauth(oauth::Part::Resource),
        oauth(oauth::Part::Scope),
        oauth(oauth::Part::TokenUrl),
        ("schema_policy", before.schema_policy != after.schema_policy),
        ("session_mode", before.session_mode != after.session_mode),
        tls(Part::Ca),
        tls(Part::ClientCertificate),
        tls(Part::ClientKey),
        ("url", before.url != after.url),
    ];
    fields.into_iter().filter(|(_, differs)| *differs).map(|(field, _)| field.to_owned()).collect()
}

/// An upstream to be created; what is absent gets its default.
pub(super) fn upstream(message: &admin::Upstream) -> Result<Upstream, Status> {
    let mut upstream = Upstream::new(domain(&message.domain)?, message.url.clone());
    for field in [
        "discovery_url",
        "description",
        "headers",
        "forward_headers",
        "filter",
        "schema_policy",
        "session_mode",
        "limits",
        "tls",
        "oauth",
    ] {
        put(&mut upstream, message, field)?;
    }
    Ok(upstream)
}

/// Puts one field of the message over the upstream: what an update mask names.
pub(super) fn put(upstream: &mut Upstream, message: &admin::Upstream, field: &str) -> Result<(), Status> {
    match field {
        "url" => upstream.url.clone_from(&message.url),
        "discovery_url" => {
            upstream.discovery_url = Some(message.discovery_url.clone()).filter(|url| !url.is_empty());
        }
        "description" => upstream.description.clone_from(&message.description),
        "headers" => upstream.headers = headers(message),
        "forward_headers" => {
            upstream.forward_headers = message.forward_headers.as_ref().map(|list| list.globs.clone());
        }
        "filter" => {
            upstream.filter = message.filter.as_ref().map_or_else(ToolFilter::default, |filter| ToolFilter {
                allowed: filter.allowed.as_ref().map(|list| list.globs.clone()),
                denied: filter.denied.clone(),
            });
        }
        "schema_policy" => {
            upstream.schema_policy = match admin::SchemaPolicy::try_from(message.schema_policy) {
                Ok(admin::SchemaPolicy::Pin) => SchemaPolicy::Pin,
                Ok(admin::SchemaPolicy::Accept | admin::SchemaPolicy::Unspecified) => SchemaPolicy::Accept,
                Err(_) => return Err(invalid("schema_policy", "is not known")),
            };
        }
        "session_mode" => {
            upstream.session_mode = match sync::SessionMode::try_from(message.session_mode) {
                Ok(sync::SessionMode::Shared) => SessionMode::Shared,
                Ok(sync::SessionMode::Isolated | sync::SessionMode::Unspecified) => SessionMode::Isolated,
                Err(_) => return Err(invalid("session_mode", "is not known")),
            };
        }
        "limits" => upstream.limits = limits(message)?,
        field if field.starts_with("limits.") => {
            let named = field.strip_prefix("limits.").and_then(Limit::named);
            let limit = named.ok_or_else(|| invalid("update_mask", format!("`{field}` is no limit")))?;
            upstream.limits.put(limit, limits(message)?.get(limit));
        }
        "tls" => upstream.tls = super::tls::given(message),
        field if field.starts_with("tls.") => {
            let part = Part::at(field)
                .ok_or_else(|| invalid("update_mask", format!("`{field}` is no TLS setting")))?;
            upstream.tls.put(part, super::tls::given(message).get(part).cloned());
        }
        "oauth" => super::oauth::put(&mut upstream.oauth, message, None)?,
        field if field.starts_with("oauth.") => {
            let part = oauth::Part::at(field)
                .ok_or_else(|| invalid("update_mask", format!("`{field}` is no setting of OAuth")))?;
            super::oauth::put(&mut upstream.oauth, message, Some(part))?;
        }
        other => return Err(invalid("update_mask", format!("`{other}` cannot be updated"))),
    }
    Ok(())
}

fn limits(message: &admin::Upstream) -> Result<Limits, Status> {
    let said = message.limits.as_ref().map(Limits::try_from).transpose();
    Ok(said.map_err(|error| invalid("limits", error))?.unwrap_or_default())
}

fn headers(message: &admin::Upstream) -> Vec<Header> {
    let mut headers: Vec<Header> = message
        .headers
        .iter()
        .map(|(name, value)| Header { name: name.to_ascii_lowercase(), value: Secret::new(value.clone()) })
        .collect();
    headers.sort_by(|a, b| a.name.cmp(&b.name));
    headers
}

/// An upstream as an operator sees it.
pub(super) fn registered(held: &Registered, effective: &Upstream, published: &Published) -> admin::Upstream {
    let Upstream {
        domain,
        url,
        discovery_url,
        description,
        headers,
        tls,
        oauth,
        forward_headers,
        filter,
        schema_policy,
        session_mode,
        limits,
        owner,
    } = effective;
    let globs = |globs: &Vec<String>| admin::Globs { globs: globs.clone() };
    admin::Upstream {
        domain: domain.to_string(),
        url: url.clone(),
        discovery_url: discovery_url.clone().unwrap_or_default(),
        description: description.clone(),
        headers: std::collections::BTreeMap::new(),
        header_names: headers.iter().map(|header| header.name.clone()).collect(),
        forward_headers: forward_headers.as_ref().map(|globs| admin::HeaderGlobs { globs: globs.clone() }),
        filter: Some(admin::ToolFilter {
            allowed: filter.allowed.as_ref().map(globs),
            denied: filter.denied.clone(),
        }),
        schema_policy: match schema_policy {
            SchemaPolicy::Accept => admin::SchemaPolicy::Accept,
            SchemaPolicy::Pin => admin::SchemaPolicy::Pin,
        }
        .into(),
        session_mode: sync::SessionMode::from(*session_mode).into(),
        owner: match owner {
            Owner::Api => admin::Owner::Api,
            Owner::Environment => admin::Owner::Environment,
        }
        .into(),
        etag: held.config_id.clone(),
        create_time: Some(time(held.created_at)),
        update_time: Some(time(held.updated_at)),
        listing: held.listing.as_ref().map(|listing| self::listing(listing, domain, published)),
        frozen_at_version: held.frozen_at.unwrap_or_default(),
        limits: toolplane_proto::limits::said(limits),
        tls: super::tls::shown(tls),
        oauth: toolplane_proto::oauth::shown(oauth),
    }
}

fn listing(listing: &Listing, domain: &Domain, published: &Published) -> admin::Listing {
    let admitted = published.snapshot.domains().get(domain).map_or(0, |entry| entry.tools().len());
    admin::Listing {
        attempt_time: Some(time(listing.attempt_at)),
        success_time: listing.success_at.map(time),
        error: listing.error.clone(),
        tools_listed: u32::try_from(listing.tools.len()).unwrap_or(u32::MAX),
        tools_admitted: u32::try_from(admitted).unwrap_or(u32::MAX),
        digest: listing.digest().to_string(),
        protocol: toolplane_proto::protocol::encode(listing.protocol),
    }
}

pub(super) fn role(message: i32) -> Result<Role, Status> {
    match admin::Role::try_from(message) {
        Ok(admin::Role::Admin) => Ok(Role::Admin),
        Ok(admin::Role::Registrar) => Ok(Role::Registrar),
        Ok(admin::Role::Viewer) => Ok(Role::Viewer),
        Ok(admin::Role::Node) => Ok(Role::Node),
        Ok(admin::Role::Unspecified) | Err(_) => {
            Err(invalid("role", "must be admin, registrar, viewer or node"))
        }
    }
}

pub(super) fn role_message(role: Role) -> admin::Role {
    match role {
        Role::Admin => admin::Role::Admin,
        Role::Registrar => admin::Role::Registrar,
        Role::Viewer => admin::Role::Viewer,
        Role::Node => admin::Role::Node,
    }
}
