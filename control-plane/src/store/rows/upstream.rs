//! Upstreams, their headers and their listings as rows.

use std::collections::BTreeMap;

use toolplane_registry::upstream::{Header, Owner, SchemaPolicy, SessionMode, ToolFilter, Upstream};
use toolplane_registry::{Domain, Protocol, RawJson, Secret};
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
    limits: Option<String>,
    tls: Option<Vec<u8>>,
    oauth: Option<Vec<u8>>,
}

#[derive(sqlx::FromRow)]
pub(in crate::store) struct ListingRow {
    domain: String,
    attempt_at: Millis,
    success_at: Option<Millis>,
    error: String,
    has_approved: bool,
    protocol: String,
}

impl ListingRow {
    pub(in crate::store) fn into_attempt(self) -> Result<(Domain, Attempt), Error> {
        let Self { domain, attempt_at, success_at, error, has_approved: _, protocol: _ } = self;
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
) -> [Value; 16] {
    let Upstream {
        domain,
        url,
        discovery_url,
        description,
        headers,
        tls,
        oauth,
        forward_headers,
        filter: ToolFilter { allowed, denied },
        schema_policy,
        session_mode,
        limits,
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
        super::limits::json(limits).into(),
        super::tls::seal(tls, domain.as_str(), key).into(),
        super::oauth::seal(oauth, domain.as_str(), key).into(),
    ]
}

/// The values that `INSERT_LISTING` takes.
pub(in crate::store) fn listing_values(domain: &Domain, listing: &Listing) -> [Value; 6] {
    // The tools are rows of their own.
    let Listing { attempt_at, success_at, error, tools: _, approved, protocol } = listing;
    [
        domain.as_str().into(),
        (*attempt_at).into(),
        (*success_at).into(),
        error.as_str().into(),
        approved.is_some().into(),
        protocol.to_string().into(),
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
            limits,
            tls,
            oauth,
        } = self;
        let cell = |column| Cell { table: "upstreams", column, id: &id };
        let upstream = Upstream {
            domain: Domain::parse(&id).map_err(|error| cell("domain").bad(error.to_string()))?,
            url,
            discovery_url,
            description,
            headers: open_headers(&headers, cell("headers"), key)?,
            tls: super::tls::open(tls.as_deref(), cell("tls"), key)?,
            oauth: super::oauth::open(oauth.as_deref(), cell("oauth"), key)?,
            forward_headers: maybe_list(forward_headers, cell("forward_headers"))?,
            filter: ToolFilter {
                allowed: maybe_list(allowed_tools, cell("allowed_tools"))?,
                denied: cell("denied_tools").json(&denied_tools)?,
            },
            schema_policy: cell("schema_policy")
                .known(&schema_policy, |name| named(&SCHEMA_POLICIES, name))?,
            session_mode: cell("session_mode").known(&session_mode, |name| named(&SESSION_MODES, name))?,
            limits: super::limits::read(limits.as_deref(), cell("limits"))?,
            owner: cell("owner").known(&owner, |name| named(&OWNERS, name))?,
        };
        let frozen_at = frozen_at.map(|number| cell("frozen_at").version(number)).transpose()?;
        Ok(Registered { upstream, config_id, created_at, updated_at, frozen_at, listing: None })
    }
}

/// Upstreams put together, and why others could not be, by the domain in their row.
pub(in crate::store) struct Assembled {
    pub(in crate::store) upstreams: BTreeMap<Domain, Registered>,
    pub(in crate::store) unreadable: BTreeMap<String, Error>,
}

/// Puts upstreams, listings and tools together. A row that cannot be read costs its own upstream, whole: half of
/// one would be something that nobody registered.
pub(in crate::store) fn assemble(
    rows: Vec<UpstreamRow>,
    listings: Vec<ListingRow>,
    tools: Vec<ToolRow>,
    key: &Key,
) -> Assembled {
    let (mut upstreams, mut unreadable) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let domain = row.domain.clone();
        match row.open(key) {
            Ok(registered) => {
                upstreams.insert(registered.upstream.domain.clone(), registered);
            }
            Err(error) => {
                unreadable.insert(domain, error);
            }
        }
    }
    for row in listings {
        let ListingRow { domain, attempt_at, success_at, error, has_approved, protocol } = row;
        let protocol = Protocol::parse(&protocol);
        let approved = has_approved.then(Vec::new);
        // A foreign key keeps listings without an upstream, and tools without a listing, from existing.
        if let Some(registered) = upstreams.get_mut(domain.as_str()) {
            registered.listing =
                Some(Listing { attempt_at, success_at, error, tools: Vec::new(), approved, protocol });
        }
    }
    for row in tools {
        let domain = row.domain.clone();
        if let Err(error) = add_tool(&mut upstreams, row) {
            upstreams.remove(domain.as_str());
            unreadable.insert(domain, error);
        }
    }
    Assembled { upstreams, unreadable }
}

fn add_tool(upstreams: &mut BTreeMap<Domain, Registered>, row: ToolRow) -> Result<(), Error> {
    let ToolRow { domain, approved, position, definition } = row;
    let listing = upstreams.get_mut(domain.as_str()).and_then(|registered| registered.listing.as_mut());
    let Some(listing) = listing else { return Ok(()) };
    let id = format!("{domain}/{position}");
    let tool = RawJson::parse(&definition)
        .map_err(|_| Cell { table: "tools", column: "definition", id: &id }.bad("not valid JSON"))?;
    let list = if approved { listing.approved.get_or_insert_default() } else { &mut listing.tools };
    list.push(tool);
    Ok(())
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
