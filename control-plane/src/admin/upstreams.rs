//! `UpstreamService`.

use std::collections::{BTreeMap, HashSet};

use prost_types::FieldMask;
use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, upstream_service_server::UpstreamService};
use toolplane_registry::tls::Part;
use toolplane_registry::upstream::Upstream;
use toolplane_registry::{Digest, Domain};

use super::{auth, convert, page, status};
use crate::environment::Environment;
use crate::refresh::Answer;
use crate::registrar::{Changed, Error, How, Refreshed, Registrar};
use crate::snapshots::Published;
use crate::store::{Attempt, Registered};

/// How often a change without an etag is merged anew when somebody else changes the same upstream meanwhile.
const ATTEMPTS: usize = 3;

#[derive(Debug)]
pub(super) struct Service {
    registrar: Registrar,
    environment: Environment,
}

impl Service {
    pub(super) fn new(registrar: Registrar, environment: Environment) -> Self {
        Self { registrar, environment }
    }

    fn show(&self, held: &Registered, published: &Published) -> admin::Upstream {
        convert::registered(held, &self.environment.overlay(&held.upstream), published)
    }

    fn show_changed(&self, changed: &Changed) -> admin::Upstream {
        self.show(&changed.upstream, &self.registrar.current())
    }

    async fn attempts(&self) -> Result<BTreeMap<Domain, Attempt>, Status> {
        self.registrar.attempts().await.map_err(|error| status::change(&error))
    }

    fn held(&self, name: &str) -> Result<Registered, Status> {
        let domain = convert::domain(name)?;
        let held = self.registrar.current().registry.upstreams.get(&domain).cloned();
        held.ok_or_else(|| Status::not_found(format!("upstream `{domain}` is not registered")))
    }
}

/// An upstream with the fields replaced that the paths name.
fn merged(mut upstream: Upstream, message: &admin::Upstream, paths: &[String]) -> Result<Upstream, Status> {
    if paths.is_empty() {
        return Err(status::invalid("update_mask", "must name the fields to change"));
    }
    for path in paths {
        convert::put(&mut upstream, message, path)?;
    }
    // Credentials were given for the addresses they were given with. Without a `discovery_url` the tools are listed
    // where they are called, which is no new address.
    let named: HashSet<&str> = paths.iter().map(String::as_str).collect();
    let moves = match (named.contains("url"), named.contains("discovery_url")) {
        (true, _) => Some("url"),
        (false, true) if upstream.discovery_url.is_some() => Some("discovery_url"),
        (false, _) => None,
    };
    super::oauth::stays_behind(&upstream.oauth, |path| named.contains(path), moves)?;
    let Some(moves) = moves else { return Ok(upstream) };
    if !named.contains("headers") && !upstream.headers.is_empty() {
        let reason = format!("must be given again (or emptied) together with a new {moves}");
        return Err(status::invalid("headers", &reason));
    }
    let gives_identity = ["tls", Part::ClientCertificate.path(), Part::ClientKey.path()];
    if upstream.tls.has_identity() && !gives_identity.iter().any(|path| named.contains(path)) {
        let reason =
            format!("the client certificate must be given again (or removed) together with a new {moves}");
        return Err(status::invalid("tls", &reason));
    }
    Ok(upstream)
}

/// An upstream with how the last try to list it went, which may be later than its last version.
fn with_attempt(mut held: Registered, attempts: &BTreeMap<Domain, Attempt>) -> Registered {
    if let (Some(listing), Some(attempt)) = (&mut held.listing, attempts.get(&held.upstream.domain)) {
        let Attempt { attempt_at, success_at, error } = attempt.clone();
        listing.attempt_at = attempt_at;
        listing.success_at = success_at;
        listing.error = error;
    }
    held
}

fn etag(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

fn refreshed(result: &Refreshed) -> Vec<admin::RefreshedDomain> {
    let one = |(domain, answer): (&Domain, &Answer)| {
        let (added, removed, count) = result.diff(domain);
        admin::RefreshedDomain {
            domain: domain.to_string(),
            added,
            removed,
            tool_count: u32::try_from(count).unwrap_or(u32::MAX),
            error: answer.reason().unwrap_or_default(),
            frozen_at_version: match answer {
                Answer::Frozen(number) => *number,
                Answer::Listed | Answer::Failed(_) | Answer::Unreadable => 0,
            },
        }
    };
    result.outcome.iter().map(one).collect()
}

#[tonic::async_trait]
impl UpstreamService for Service {
    async fn create_upstream(
        &self,
        request: Request<admin::CreateUpstreamRequest>,
    ) -> Result<Response<admin::CreateUpstreamResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let admin::CreateUpstreamRequest { upstream, validate_only, allow_unreachable } =
            request.into_inner();
        let message = upstream.ok_or_else(|| status::invalid("upstream", "is missing"))?;
        let upstream = convert::upstream(&message)?;
        let how = How { validate_only, allow_unreachable };
        let changed =
            self.registrar.create(&actor, upstream, how).await.map_err(|error| status::change(&error))?;
        Ok(Response::new(admin::CreateUpstreamResponse {
            upstream: Some(self.show_changed(&changed)),
            version: Some((&changed.version).into()),
            tools_added: changed.added,
        }))
    }

    async fn get_upstream(
        &self,
        request: Request<admin::GetUpstreamRequest>,
    ) -> Result<Response<admin::Upstream>, Status> {
        let held = self.held(&request.into_inner().domain)?;
        let held = with_attempt(held, &self.attempts().await?);
        Ok(Response::new(self.show(&held, &self.registrar.current())))
    }

    async fn list_upstreams(
        &self,
        request: Request<admin::ListUpstreamsRequest>,
    ) -> Result<Response<admin::ListUpstreamsResponse>, Status> {
        let admin::ListUpstreamsRequest { page_size, page_token } = request.into_inner();
        let published = self.registrar.current();
        let all = published.registry.upstreams.values();
        let (held, next_page_token) =
            page::cut(all, &page_token, page::size(page_size)?, |held| held.upstream.domain.to_string());
        let attempts = self.attempts().await?;
        let upstreams = held
            .into_iter()
            .map(|held| self.show(&with_attempt(held.clone(), &attempts), &published))
            .collect();
        Ok(Response::new(admin::ListUpstreamsResponse { upstreams, next_page_token }))
    }

    async fn update_upstream(
        &self,
        request: Request<admin::UpdateUpstreamRequest>,
    ) -> Result<Response<admin::UpdateUpstreamResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let admin::UpdateUpstreamRequest { upstream, update_mask, validate_only, allow_unreachable } =
            request.into_inner();
        let message = upstream.ok_or_else(|| status::invalid("upstream", "is missing"))?;
        let domain = convert::domain(&message.domain)?;
        let paths = update_mask.map(|mask| mask.paths).unwrap_or_default();
        let how = How { validate_only, allow_unreachable };
        let expected = etag(message.etag.clone());
        let mut attempt = 1;
        let (changed, fields) = loop {
            let held = self.registrar.held(&domain).await.map_err(|error| status::change(&error))?;
            let upstream = merged(held.upstream.clone(), &message, &paths)?;
            let fields = convert::changed_fields(&held.upstream, &upstream);
            // What the mask does not name is as it was read, so nothing else may be replaced than what was read.
            let read = expected.clone().unwrap_or(held.config_id);
            match self.registrar.update(&actor, upstream, Some(read), how).await {
                Err(Error::Conflict { .. }) if expected.is_none() && attempt < ATTEMPTS => attempt += 1,
                result => break (result.map_err(|error| status::change(&error))?, fields),
            }
        };
        Ok(Response::new(admin::UpdateUpstreamResponse {
            upstream: Some(self.show_changed(&changed)),
            version: Some((&changed.version).into()),
            changed_fields: Some(FieldMask { paths: fields }),
        }))
    }

    async fn delete_upstream(
        &self,
        request: Request<admin::DeleteUpstreamRequest>,
    ) -> Result<Response<admin::DeleteUpstreamResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let admin::DeleteUpstreamRequest { domain, etag: expected } = request.into_inner();
        let domain = convert::domain(&domain)?;
        let changed = self
            .registrar
            .delete(&actor, &domain, etag(expected))
            .await
            .map_err(|error| status::change(&error))?;
        Ok(Response::new(admin::DeleteUpstreamResponse {
            version: Some((&changed.version).into()),
            tools_removed: changed.removed,
        }))
    }

    async fn refresh_upstreams(
        &self,
        request: Request<admin::RefreshUpstreamsRequest>,
    ) -> Result<Response<admin::RefreshUpstreamsResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let domains = request
            .into_inner()
            .domains
            .iter()
            .map(|name| convert::domain(name))
            .collect::<Result<Vec<Domain>, Status>>()?;
        let result =
            self.registrar.refresh(&actor, &domains).await.map_err(|error| status::change(&error))?;
        let refreshed = refreshed(&result);
        let version = Some(result.after.version().into());
        Ok(Response::new(admin::RefreshUpstreamsResponse { refreshed, version }))
    }

    async fn accept_schema(
        &self,
        request: Request<admin::AcceptSchemaRequest>,
    ) -> Result<Response<admin::AcceptSchemaResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let admin::AcceptSchemaRequest { domain, digest } = request.into_inner();
        let domain = convert::domain(&domain)?;
        let digest = Digest::from_hex(&digest)
            .ok_or_else(|| status::invalid("digest", "must be 64 hexadecimal digits"))?;
        let accepted =
            self.registrar.accept(&actor, &domain, digest).await.map_err(|error| status::change(&error))?;
        let version = Some((&accepted.changed.version).into());
        Ok(Response::new(admin::AcceptSchemaResponse { version }))
    }

    async fn resume_upstream(
        &self,
        request: Request<admin::ResumeUpstreamRequest>,
    ) -> Result<Response<admin::ResumeUpstreamResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let domain = convert::domain(&request.into_inner().domain)?;
        let result = self.registrar.resume(&actor, &domain).await.map_err(|error| status::change(&error))?;
        let held = result.after.registry.upstreams.get(&domain);
        Ok(Response::new(admin::ResumeUpstreamResponse {
            upstream: held.map(|held| self.show(held, &result.after)),
            version: Some(result.after.version().into()),
            refreshed: refreshed(&result).pop(),
        }))
    }
}
