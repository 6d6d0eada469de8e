//! The registration endpoints: read, forward to the control plane, wait until this node serves the result.
//!
//! Owns the JSON of requests and answers. The control plane verifies the credential and decides everything else; a
//! wrong credential is refused before the body is read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, StatusCode, header};
use http_body_util::{BodyExt as _, Limited};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use toolplane_proto::sync;
use toolplane_registry::{Digest, Version};

use super::error::Error;
use crate::control_plane::{Again, ControlPlanes, Registrations as Client};
use crate::held_back::HeldBack;
use crate::live::Live;
use crate::metrics::{Limit, Metrics};

/// Forwards registrations.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) live: Arc<Live>,
    pub(crate) control_planes: ControlPlanes,
    pub(crate) max_body_bytes: usize,
    pub(crate) metrics: Metrics,
    /// How long an answer waits until this node serves what was changed.
    pub(crate) patience: Duration,
    /// What this node is labelled with: a rollout may keep it from what was changed.
    pub(crate) labels: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Registration {
    domain: String,
    url: String,
    description: Option<String>,
    headers: Option<BTreeMap<String, String>>,
    discovery_url: Option<String>,
}

#[derive(Deserialize)]
struct Refresh {
    domain: String,
}

#[derive(Deserialize)]
pub(super) struct RefreshQuery {
    expected_digest: Option<String>,
}

#[derive(Serialize)]
struct RegisterAnswer {
    registered: String,
    url: String,
    discovery_url: String,
    tools_discovered: u32,
    tools_added: Vec<String>,
    #[serde(flatten)]
    held_back: Option<HeldBackAnswer>,
}

#[derive(Serialize)]
struct DeregisterAnswer {
    deregistered: String,
    tools_removed: Vec<String>,
    #[serde(flatten)]
    held_back: Option<HeldBackAnswer>,
}

/// In an answer, says that the change is made and that this node does not serve it for now.
#[derive(Debug, Serialize)]
struct HeldBackAnswer {
    held_back: bool,
    message: String,
}

#[derive(Serialize)]
struct RefreshAnswer {
    refreshed: String,
    added: Vec<String>,
    removed: Vec<String>,
    tool_count: u32,
    schema_digest: String,
    schema_digest_changed: bool,
    #[serde(flatten)]
    held_back: Option<HeldBackAnswer>,
}

#[derive(Serialize)]
struct Servers {
    servers: Vec<Server>,
    total: usize,
}

#[derive(Serialize)]
struct Server {
    domain: String,
    url: String,
    tool_count: u32,
    description: String,
}

impl Proxy {
    /// Whether the endpoints exist at all.
    pub(super) fn is_enabled(&self) -> bool {
        self.live.load().snapshot().settings().registration_enabled
    }

    /// Whether this node knows yet what the control plane wants offered.
    pub(super) fn is_starting(&self) -> bool {
        self.live.load().snapshot().version().is_none()
    }

    /// The caller's credential, once the control plane has found it good.
    async fn authorize(&self, headers: &HeaderMap) -> Result<String, Error> {
        // A header that is no text matches no token; the control plane refuses the empty one in its own words.
        let credential = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let credential = credential.unwrap_or_default().to_owned();
        let request = sync::CheckCredentialRequest { credential: credential.clone() };
        let check = |mut client: Client, request| async move { client.check_credential(request).await };
        self.control_planes.ask(request, Again::Same, check).await?;
        Ok(credential)
    }

    async fn read<T: DeserializeOwned>(&self, body: Body, asked: &'static str) -> Result<T, Error> {
        let bytes = match Limited::new(body, self.max_body_bytes).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                self.metrics.limit(Limit::BodySize);
                return Err(Error::too_large());
            }
            Err(_) => return Err(Error::bad_request("the body broke off")),
        };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| Error::bad_request("the body is not JSON"))?;
        if !value.is_object() {
            return Err(Error::bad_request("the body is not a JSON object"));
        }
        serde_json::from_value(value).map_err(|_| Error::bad_request(asked))
    }

    /// Waits until this node serves what was changed: whoever registers may use the tools right away. What a rollout
    /// keeps from this node is not waited for.
    async fn served(
        &self,
        version: Option<sync::Version>,
        hold: Option<sync::Hold>,
    ) -> Result<Option<HeldBackAnswer>, Error> {
        fail::fail_point!("node.answer.before");
        let version = version.map(Version::from).unwrap_or_default();
        if let Some(held_back) = HeldBack::of(hold, &self.labels, &version) {
            return Ok(Some(HeldBackAnswer { held_back: true, message: held_back.reason() }));
        }
        let served = self.live.wait_for(&version, self.patience).await;
        if served { Ok(None) } else { Err(Error::not_served_yet()) }
    }
}

/// 200 where this node serves the result, 202 where a rollout keeps it from it.
fn answer(held_back: bool, body: impl Serialize) -> Response {
    let status = if held_back { StatusCode::ACCEPTED } else { StatusCode::OK };
    (status, Json(body)).into_response()
}

/// `POST /registry/servers`
pub(super) async fn register(
    State(proxy): State<Arc<Proxy>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let credential = proxy.authorize(&headers).await?;
    let asked = "`domain` and `url` must be texts, `description` and `discovery_url` too where they are given, \
                 and `headers` an object of texts";
    let Registration { domain, url, description, headers, discovery_url } = proxy.read(body, asked).await?;
    let request = sync::RegisterServerRequest {
        credential,
        domain,
        url,
        description,
        headers: headers.unwrap_or_default(),
        discovery_url,
    };
    let ask = |mut client: Client, request| async move { client.register_server(request).await };
    let registration = proxy.control_planes.ask(request, Again::Same, ask).await;
    let registration = registration.map_err(|status| Error::of_registration(&status))?;
    let sync::RegisterServerResponse {
        domain: registered,
        url,
        discovery_url,
        tools_discovered,
        tools_added,
        version,
        hold,
    } = registration;
    let held_back = proxy.served(version, hold).await?;
    let is_held_back = held_back.is_some();
    let body = RegisterAnswer { registered, url, discovery_url, tools_discovered, tools_added, held_back };
    Ok(answer(is_held_back, body))
}

/// `DELETE /registry/servers/{domain}`
pub(super) async fn deregister(
    State(proxy): State<Arc<Proxy>>,
    Path(domain): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    if domain.contains('/') {
        // An escaped slash separates segments for many proxies on the way; no route has that many.
        return Ok((StatusCode::NOT_FOUND, "Not Found").into_response());
    }
    remove(&proxy, domain, &headers).await
}

/// `DELETE /registry/servers/refresh`: there may be a domain of that name.
pub(super) async fn deregister_refresh(
    State(proxy): State<Arc<Proxy>>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    remove(&proxy, "refresh".to_owned(), &headers).await
}

async fn remove(proxy: &Proxy, domain: String, headers: &HeaderMap) -> Result<Response, Error> {
    let credential = proxy.authorize(headers).await?;
    let request = sync::DeregisterServerRequest { credential, domain };
    let ask = |mut client: Client, request| async move { client.deregister_server(request).await };
    let removal = proxy.control_planes.ask(request, Again::RefusedOnceDone, ask).await;
    let removal = removal.map_err(|status| Error::of_removal(&status))?;
    let sync::DeregisterServerResponse { domain, tools_removed, version, hold } = removal;
    let held_back = proxy.served(version, hold).await?;
    let is_held_back = held_back.is_some();
    Ok(answer(is_held_back, DeregisterAnswer { deregistered: domain, tools_removed, held_back }))
}

/// `GET /registry/servers`
pub(super) async fn list(State(proxy): State<Arc<Proxy>>, headers: HeaderMap) -> Result<Response, Error> {
    let credential = proxy.authorize(&headers).await?;
    let request = sync::ListServersRequest { credential };
    let ask = |mut client: Client, request| async move { client.list_servers(request).await };
    let answer = proxy.control_planes.ask(request, Again::Same, ask).await?;
    let servers: Vec<Server> = answer
        .servers
        .into_iter()
        .map(|sync::Server { domain, url, tool_count, description }| Server {
            domain,
            url,
            tool_count,
            description,
        })
        .collect();
    let total = servers.len();
    Ok(Json(Servers { servers, total }).into_response())
}

/// `POST /registry/servers/refresh?expected_digest=…`
pub(super) async fn refresh(
    State(proxy): State<Arc<Proxy>>,
    Query(query): Query<RefreshQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let credential = proxy.authorize(&headers).await?;
    let Some(expected) = query.expected_digest else {
        return Err(Error::bad_request("the query parameter `expected_digest` is missing"));
    };
    if Digest::from_hex(&expected).is_none_or(|digest| digest.to_string() != expected) {
        return Err(Error::bad_request("`expected_digest` must be 64 lower-case hexadecimal digits"));
    }
    let Refresh { domain } = proxy.read(body, "`domain` must be a text").await?;
    let request = sync::RefreshServerRequest { credential, domain, expected_digest: Some(expected) };
    let ask = |mut client: Client, request| async move { client.refresh_server(request).await };
    let accepted = proxy.control_planes.ask(request, Again::RefusedOnceDone, ask).await;
    let accepted = accepted.map_err(|status| Error::of_acceptance(&status))?;
    let sync::RefreshServerResponse {
        domain: refreshed,
        added,
        removed,
        tool_count,
        digest: schema_digest,
        version,
        digest_changed: schema_digest_changed,
        hold,
    } = accepted;
    let held_back = proxy.served(version, hold).await?;
    let is_held_back = held_back.is_some();
    let body = RefreshAnswer {
        refreshed,
        added,
        removed,
        tool_count,
        schema_digest,
        schema_digest_changed,
        held_back,
    };
    Ok(answer(is_held_back, body))
}
