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
use crate::control_plane::ControlPlanes;
use crate::live::Live;

/// Forwards registrations.
#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) live: Arc<Live>,
    pub(crate) control_planes: ControlPlanes,
    pub(crate) max_body_bytes: usize,
    /// How long an answer waits until this node serves what was changed.
    pub(crate) patience: Duration,
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
}

#[derive(Serialize)]
struct DeregisterAnswer {
    deregistered: String,
    tools_removed: Vec<String>,
}

#[derive(Serialize)]
struct RefreshAnswer {
    refreshed: String,
    added: Vec<String>,
    removed: Vec<String>,
    tool_count: u32,
    schema_digest: String,
    schema_digest_changed: bool,
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
        let request = self.control_planes.timed(request);
        self.control_planes.registration()?.check_credential(request).await?;
        Ok(credential)
    }

    async fn read<T: DeserializeOwned>(&self, body: Body, asked: &'static str) -> Result<T, Error> {
        let bytes = match Limited::new(body, self.max_body_bytes).collect().await {
            Ok(collected) => collected.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => return Err(Error::too_large()),
            Err(_) => return Err(Error::bad_request("the body broke off")),
        };
        let value: serde_json::Value =
            serde_json::from_slice(&bytes).map_err(|_| Error::bad_request("the body is not JSON"))?;
        if !value.is_object() {
            return Err(Error::bad_request("the body is not a JSON object"));
        }
        serde_json::from_value(value).map_err(|_| Error::bad_request(asked))
    }

    /// Waits until this node serves what was changed: whoever registers may use the tools right away.
    async fn served(&self, version: Option<sync::Version>) -> Result<(), Error> {
        let version = version.map(Version::from).unwrap_or_default();
        if self.live.wait_for(&version, self.patience).await { Ok(()) } else { Err(Error::not_served_yet()) }
    }
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
    let request = proxy.control_planes.timed(sync::RegisterServerRequest {
        credential,
        domain,
        url,
        description,
        headers: headers.unwrap_or_default(),
        discovery_url,
    });
    let answer = proxy.control_planes.registration()?.register_server(request).await?.into_inner();
    let sync::RegisterServerResponse { domain, url, discovery_url, tools_discovered, tools_added, version } =
        answer;
    proxy.served(version).await?;
    Ok(Json(RegisterAnswer { registered: domain, url, discovery_url, tools_discovered, tools_added })
        .into_response())
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
    let credential = proxy.authorize(&headers).await?;
    let request = proxy.control_planes.timed(sync::DeregisterServerRequest { credential, domain });
    let answer = proxy.control_planes.registration()?.deregister_server(request).await?.into_inner();
    let sync::DeregisterServerResponse { domain, tools_removed, version } = answer;
    proxy.served(version).await?;
    Ok(Json(DeregisterAnswer { deregistered: domain, tools_removed }).into_response())
}

/// `GET /registry/servers`
pub(super) async fn list(State(proxy): State<Arc<Proxy>>, headers: HeaderMap) -> Result<Response, Error> {
    let credential = proxy.authorize(&headers).await?;
    let request = proxy.control_planes.timed(sync::ListServersRequest { credential });
    let answer = proxy.control_planes.registration()?.list_servers(request).await?.into_inner();
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
    let request = proxy.control_planes.timed(sync::RefreshServerRequest {
        credential,
        domain,
        expected_digest: Some(expected),
    });
    let answer = proxy.control_planes.registration()?.refresh_server(request).await?.into_inner();
    let sync::RefreshServerResponse { domain, added, removed, tool_count, digest, version, digest_changed } =
        answer;
    proxy.served(version).await?;
    Ok(Json(RefreshAnswer {
        refreshed: domain,
        added,
        removed,
        tool_count,
        schema_digest: digest,
        schema_digest_changed: digest_changed,
    })
    .into_response())
}
