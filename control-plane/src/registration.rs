//! What nodes ask on behalf of callers: the REST registration, proxied.
//!
//! Owns the gRPC side of `toolplane.sync.v1.RegistrationService`: verifies the credential that the node
//! forwarded ([`credential`]), translates, and calls the [`Registrar`]. Refusals carry the code of the REST
//! answer as the reason of a `google.rpc.ErrorInfo` ([`refusal`]).

pub mod credential;
pub(crate) mod refusal;

use std::sync::Arc;

use tonic::{Request, Response, Status};
use toolplane_proto::sync;
use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{Digest, Domain, OAuth, Secret, Tls, Version};
use toolplane_upstream::guard::display_url;

use self::credential::Verifier;
use self::refusal::{bad_request, refuse};
use crate::admission;
use crate::options::Ingest;
use crate::refresh::Outcome;
use crate::registrar::Registrar;

/// Serves registrations.
#[derive(Debug, Clone)]
pub struct Service {
    registrar: Registrar,
    verifier: Arc<Verifier>,
    ingest: Ingest,
}

impl Service {
    /// A service that verifies with `verifier` and changes through `registrar`.
    pub fn new(registrar: Registrar, verifier: Arc<Verifier>, ingest: Ingest) -> Self {
        Self { registrar, verifier, ingest }
    }

    async fn actor(&self, credential: &str) -> Result<String, Status> {
        self.verifier.verify(credential).await.map_err(|error| refusal::credential(&error))
    }
}

fn domain(text: &str) -> Result<Domain, Status> {
    Domain::parse(text).map_err(|error| bad_request(&error.to_string()))
}

/// What a domain registered over REST is to be. What the request does not speak of stays as it was, except that
/// credentials never follow to another address: they were given for the old one.
fn merge(
    request: &sync::RegisterServerRequest,
    domain: &Domain,
    held: Option<&Upstream>,
    ingest: &Ingest,
) -> Upstream {
    let sync::RegisterServerRequest { credential: _, domain: _, url, description, headers, discovery_url } =
        request;
    let mut upstream = held.cloned().unwrap_or_else(|| Upstream {
        schema_policy: ingest.default_schema_policy,
        ..Upstream::new(domain.clone(), url.clone())
    });
    let moved = upstream.url != *url || upstream.discovery_url != *discovery_url;
    upstream.url.clone_from(url);
    upstream.discovery_url.clone_from(discovery_url);
    if moved {
        upstream.tls.forget_identity();
        upstream.oauth = OAuth::default();
    }
    if !admission::is_secured(&upstream) {
        upstream.tls = Tls::default();
    }
    if let Some(description) = description {
        upstream.description.clone_from(description);
    }
    if moved || !headers.is_empty() {
        upstream.headers = headers
            .iter()
            .map(|(name, value)| Header {
                name: name.to_ascii_lowercase(),
                value: Secret::new(value.clone()),
            })
            .collect();
        upstream.headers.sort_by(|a, b| a.name.cmp(&b.name));
    }
    upstream
}

/// The rollout under way, so that the node can tell whether it is to serve what was changed.
fn hold(registrar: &Registrar) -> Option<sync::Hold> {
    let published = registrar.current();
    let rollout = published.registry.rollout.as_ref()?;
    let baseline = Version::new(published.version().store_id(), rollout.baseline);
    Some(sync::Hold {
        label: rollout.canary.label().to_owned(),
        value: rollout.canary.value().to_owned(),
        baseline: Some((&baseline).into()),
    })
}

fn count(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[tonic::async_trait]
impl sync::registration_service_server::RegistrationService for Service {
    async fn register_server(
        &self,
        request: Request<sync::RegisterServerRequest>,
    ) -> Result<Response<sync::RegisterServerResponse>, Status> {
        let request = request.into_inner();
        let actor = self.actor(&request.credential).await?;
        let domain = domain(&request.domain)?;
        let changed = self
            .registrar
            .register(&actor, &domain, |held| merge(&request, &domain, held, &self.ingest))
            .await
            .map_err(|error| refuse(&error))?;
        fail::fail_point!("control-plane.answer.before");
        let upstream = &changed.upstream.upstream;
        Ok(Response::new(sync::RegisterServerResponse {
            domain: domain.to_string(),
            url: display_url(&upstream.url),
            discovery_url: display_url(upstream.listing_url()),
            tools_discovered: count(changed.tool_count),
            tools_added: changed.added,
            version: Some((&changed.version).into()),
            hold: hold(&self.registrar),
        }))
    }

    async fn deregister_server(
        &self,
        request: Request<sync::DeregisterServerRequest>,
    ) -> Result<Response<sync::DeregisterServerResponse>, Status> {
        let sync::DeregisterServerRequest { credential, domain: name } = request.into_inner();
        let actor = self.actor(&credential).await?;
        let domain = domain(&name)?;
        let changed = self.registrar.delete(&actor, &domain, None).await.map_err(|error| refuse(&error))?;
        Ok(Response::new(sync::DeregisterServerResponse {
            domain: domain.to_string(),
            tools_removed: changed.removed,
            version: Some((&changed.version).into()),
            hold: hold(&self.registrar),
        }))
    }

    async fn list_servers(
        &self,
        request: Request<sync::ListServersRequest>,
    ) -> Result<Response<sync::ListServersResponse>, Status> {
        self.actor(&request.into_inner().credential).await?;
        let published = self.registrar.current();
        let servers = published
            .snapshot
            .domains()
            .values()
            .map(|entry| sync::Server {
                domain: entry.domain().to_string(),
                url: display_url(&entry.endpoint().url),
                tool_count: count(entry.tools().len()),
                description: entry.description().to_owned(),
            })
            .collect();
        Ok(Response::new(sync::ListServersResponse { servers }))
    }

    async fn refresh_server(
        &self,
        request: Request<sync::RefreshServerRequest>,
    ) -> Result<Response<sync::RefreshServerResponse>, Status> {
        let sync::RefreshServerRequest { credential, domain: name, expected_digest } = request.into_inner();
        let actor = self.actor(&credential).await?;
        let domain = domain(&name)?;
        let expected = expected_digest
            .as_deref()
            .and_then(Digest::from_hex)
            .ok_or_else(|| bad_request("`expected_digest` must be 64 lower-case hexadecimal digits"))?;
        let accepted =
            self.registrar.accept(&actor, &domain, expected).await.map_err(|error| refuse(&error))?;
        let changed = accepted.changed;
        Ok(Response::new(sync::RefreshServerResponse {
            domain: domain.to_string(),
            added: changed.added,
            removed: changed.removed,
            tool_count: count(changed.tool_count),
            digest: accepted.digest.to_string(),
            version: Some((&changed.version).into()),
            digest_changed: accepted.digest_changed,
            hold: hold(&self.registrar),
        }))
    }

    async fn refresh_registry(
        &self,
        _request: Request<sync::RefreshRegistryRequest>,
    ) -> Result<Response<sync::RefreshRegistryResponse>, Status> {
        let refreshed = self.registrar.refresh("caller", &[]).await.map_err(|error| refuse(&error))?;
        Ok(Response::new(sync::RefreshRegistryResponse {
            version: Some(refreshed.after.version().into()),
            errors: errors(refreshed.outcome),
            hold: hold(&self.registrar),
        }))
    }

    async fn check_credential(
        &self,
        request: Request<sync::CheckCredentialRequest>,
    ) -> Result<Response<sync::CheckCredentialResponse>, Status> {
        self.actor(&request.into_inner().credential).await?;
        Ok(Response::new(sync::CheckCredentialResponse {}))
    }
}

fn errors(outcome: Outcome) -> Vec<sync::RefreshError> {
    outcome
        .into_iter()
        .filter_map(|(domain, answer)| {
            Some(sync::RefreshError { domain: domain.to_string(), error: answer.reason()? })
        })
        .collect()
}
