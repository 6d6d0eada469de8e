//! Upstreams, their headers and their listings as rows.

use std::collections::BTreeMap;

use toolplane_registry::upstream::{Header, Owner, SchemaPolicy, SessionMode, ToolFilter, Upstream};
use toolplane_registry::{Domain, RawJson, Secret};
use toolplane_seal::Key;

use super::Cell;
use crate::store::database::Value;
use crate::store::{Attempt, Error, Listing, Millis, Registered};

pub(super) const SCHEMA_POLICIES: [(SchemaPolicy, &str); 2] =
    [(SchemaPolicy::Accept, "accept"), (SchemaPolicy::Pin, "pin")];
const SESSION_MODES: [(SessionMode, &str); 2] =
    [(SessionMode::Isolated, "isolated"), (SessionMode::Shared, "shared")];
pub(super) const OWNERS: [(Owner, &str); 2] = [(Owner::Api, "api"), (Owner::Environment, "environment")];

#[derive(sqlx::FromRow)]
pub(in crate::store) struct UpstreamRow {
    domain: String,
    url: String,
    discovery_url: Option<String>,
    description: String,
    headers: Vec<u8>,
    forward_headers: Option<String>,
    allowed_tools: Option<String>,
    denied_tools: String,
    schema_policy: String,
    session_mode: String,
    owner: String,
    config_id: String,
    created_at: Millis,
    updated_at: Millis,
    frozen_at: Option<i64>,
}

#[derive(sqlx::FromRow)]
pub(in crate::store) struct ListingRow {
    domain: String,
    attempt_at: Millis,
    success_at: Option<Millis>,
    error: String,
    has_approved: bool,
}

impl ListingRow {
    pub(in crate::store) fn into_attempt(self) -> Result<(Domain, Attempt), Error> {
        let Self { domain, attempt_at, success_at, error, has_approved: _ } = self;
        let cell = Cell { table: "listings", column: "domain", id: &domain };
        let key = Domain::parse(&domain).map_err(|reason| cell.bad(reason.to_string()))?;
        Ok((key, Attempt { attempt_at, success_at, error }))
    }
}

#[derive(sqlx::FromRow)]
pub(in crate::store) struct ToolRow {
    domain: String,
    approved: bool,
    position: i64,
    definition: String,
}

// ---- writing ----

/// The values that `INSERT_UPSTREAM` and `UPDATE_UPSTREAM` take.
pub(in crate::store) fn upstream_values(
    upstream: &Upstream,
    config_id: &str,
    at: Millis,
    key: &Key,
) -> [Value; 13] {
    let Upstream {
        domain,
        url,
        discovery_url,
        description,
        headers,
        forward_headers,
        filter: ToolFilter { allowed, denied },
        schema_policy,
        session_mode,
        owner,
    } = upstream;
    [
        domain.as_str().into(),
        url.as_str().into(),
        discovery_url.clone().into(),
        description.as_str().into(),
        seal_headers(headers, domain.as_str(), key).into(),
        forward_headers.as_deref().map(list_json).into(),
        allowed.as_deref().map(list_json).into(),
        list_json(denied).into(),
        name_of(&SCHEMA_POLICIES, schema_policy).into(),
        name_of(&SESSION_MODES, session_mode).into(),
        name_of(&OWNERS, owner).into(),
        config_id.into(),
        at.into(),
    ]
}

/// The values that `INSERT_LISTING` takes.
pub(in crate::store) fn listing_values(domain: &Domain, listing: &Listing) -> [Value; 5] {
    // The tools are rows of their own.
    let Listing { attempt_at, success_at, error, tools: _, approved } = listing;
    [
        domain.as_str().into(),
        (*attempt_at).into(),
        (*success_at).into(),
        error.as_str().into(),
        approved.is_some().into(),
    ]
}

fn seal_headers(headers: &[Header], domain: &str, key: &Key) -> Vec<u8> {
    let pairs: Vec<(&str, &str)> =
        headers.iter().map(|Header { name, value }| (name.as_str(), value.expose().as_str())).collect();
    key.seal(serde_json::json!(pairs).to_string().as_bytes(), context(domain).as_bytes())
}

/// What sealed headers are bound to, so that a row copied to another domain does not open.
fn context(domain: &str) -> String {
    format!("upstream/{domain}")
}

fn list_json(list: &[String]) -> String {
    serde_json::Value::from(list).to_string()
}

// ---- reading ----

impl UpstreamRow {
    fn open(self, key: &Key) -> Result<Registered, Error> {
        let Self {
            domain: id,
            url,
            discovery_url,
            description,
            headers,
            forward_headers,
            allowed_tools,
            denied_tools,
            schema_policy,
            session_mode,
            owner,
            config_id,
            created_at,
            updated_at,
            frozen_at,
        } = self;
        let cell = |column| Cell { table: "upstreams", column, id: &id };
        let upstream = Upstream {
            domain: Domain::parse(&id).map_err(|error| cell("domain").bad(error.to_string()))?,
            url,
            discovery_url,
            description,
            headers: open_headers(&headers, cell("headers"), key)?,
            forward_headers: maybe_list(forward_headers, cell("forward_headers"))?,
            filter: ToolFilter {
                allowed: maybe_list(allowed_tools, cell("allowed_tools"))?,
                denied: cell("denied_tools").json(&denied_tools)?,
            },
            schema_policy: cell("schema_policy")
                .known(&schema_policy, |name| named(&SCHEMA_POLICIES, name))?,
            session_mode: cell("session_mode").known(&session_mode, |name| named(&SESSION_MODES, name))?,
            owner: cell("owner").known(&owner, |name| named(&OWNERS, name))?,
        };
        let frozen_at = frozen_at.map(|number| cell("frozen_at").version(number)).transpose()?;
        Ok(Registered { upstream, config_id, created_at, updated_at, frozen_at, listing: None })
    }
}

/// Puts upstreams, listings and tools together.
pub(in crate::store) fn assemble(
    upstreams: Vec<UpstreamRow>,
    listings: Vec<ListingRow>,
    tools: Vec<ToolRow>,
    key: &Key,
) -> Result<BTreeMap<Domain, Registered>, Error> {
    let mut registry = BTreeMap::new();
    for row in upstreams {
        let registered = row.open(key)?;
        registry.insert(registered.upstream.domain.clone(), registered);
    }
    for row in listings {
        let ListingRow { domain, attempt_at, success_at, error, has_approved } = row;
        let approved = has_approved.then(Vec::new);
        // A foreign key keeps listings without an upstream, and tools without a listing, from existing.
        if let Some(registered) = registry.get_mut(domain.as_str()) {
            registered.listing = Some(Listing { attempt_at, success_at, error, tools: Vec::new(), approved });
        }
    }
    for row in tools {
        let ToolRow { domain, approved, position, definition } = row;
        let id = format!("{domain}/{position}");
        let tool = RawJson::parse(&definition)
            .map_err(|_| Cell { table: "tools", column: "definition", id: &id }.bad("not valid JSON"))?;
        let listing = registry.get_mut(domain.as_str()).and_then(|registered| registered.listing.as_mut());
        if let Some(listing) = listing {
            let list = if approved { listing.approved.get_or_insert_default() } else { &mut listing.tools };
            list.push(tool);
        }
    }
    Ok(registry)
}

fn open_headers(sealed: &[u8], cell: Cell<'_>, key: &Key) -> Result<Vec<Header>, Error> {
    let plain = key.open(sealed, context(cell.id).as_bytes()).map_err(|error| cell.bad(error.to_string()))?;
    let text = String::from_utf8(plain).map_err(|_| cell.bad("not UTF-8"))?;
    let pairs: Vec<(String, String)> = cell.json(&text)?;
    Ok(pairs.into_iter().map(|(name, value)| Header { name, value: Secret::new(value) }).collect())
}

fn maybe_list(text: Option<String>, cell: Cell<'_>) -> Result<Option<Vec<String>>, Error> {
    text.map(|text| cell.json(&text)).transpose()
}

// ---- names ----

pub(super) fn name_of<T: PartialEq>(names: &[(T, &'static str)], wanted: &T) -> &'static str {
    names.iter().find(|(value, _)| value == wanted).map_or("", |(_, name)| name)
}

pub(super) fn named<T: Copy>(names: &[(T, &'static str)], wanted: &str) -> Option<T> {
    names.iter().find(|(_, name)| *name == wanted).map(|(value, _)| *value)
}
