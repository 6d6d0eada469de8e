//! `SnapshotService`.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, stream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, snapshot_service_server::SnapshotService};
use toolplane_registry::Version;
use toolplane_registry::policy::AccessPolicy;

use super::{auth, convert, page, policies, rollouts, status};
use crate::history::diff::{self, Change, DomainDiff};
use crate::registrar::Registrar;
use crate::standing;
use crate::store::history::{Publication, Refusal, VersionRecord};
use crate::store::{NodeRecord, Store};
use crate::stream::fleet::{Outcome, Progress, Wait};
use crate::stream::nodes::Nodes;

const DEFAULT_WAIT: Duration = Duration::from_mins(1);
const LONGEST_WAIT: Duration = Duration::from_hours(1);
/// How many may wait for a version at once.
pub(super) const MAX_WAITS: usize = 512;

#[derive(Debug)]
pub(super) struct Service {
    pub(super) store: Arc<dyn Store>,
    pub(super) registrar: Registrar,
    pub(super) nodes: Nodes,
    pub(super) shutdown: CancellationToken,
    /// Room for those who wait.
    pub(super) waits: Arc<Semaphore>,
}

impl Service {
    /// The version meant by a number of a request: 0 means the newest.
    pub(super) async fn meant(&self, number: u64) -> Result<Version, Status> {
        let newest = self.registrar.newest().await.map_err(|error| status::change(&error))?;
        let newest = newest.version();
        Ok(match number {
            0 => newest.clone(),
            number => Version::new(newest.store_id().to_owned(), number),
        })
    }

    pub(super) async fn versions(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<VersionRecord>, Status> {
        let limit = u32::try_from(limit).unwrap_or(u32::MAX);
        self.store.list_versions(before, limit).await.map_err(|error| status::store(&error))
    }

    async fn content(&self, number: u64) -> Result<crate::history::Snapshot, Status> {
        self.registrar.snapshot(number).await.map_err(|error| status::change(&error))
    }
}

// ---- to the wire ----

fn show(record: &VersionRecord, store_id: &str) -> admin::Snapshot {
    let VersionRecord { number, created_at, actor, summary, recorded, publication, refusals } = record;
    let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let (digest, domains, tools) = match publication {
        None => (String::new(), 0, 0),
        Some(Publication { digest, domains, tools }) => (digest.to_string(), count(*domains), count(*tools)),
    };
    admin::Snapshot {
        version: Some((&Version::new(store_id.to_owned(), *number)).into()),
        digest,
        create_time: Some(convert::time(*created_at)),
        actor: actor.clone(),
        summary: summary.clone(),
        domain_count: domains,
        tool_count: tools,
        restorable: *recorded,
        refusals: refusals.iter().map(refusal).collect(),
    }
}

fn refusal(refusal: &Refusal) -> admin::Refusal {
    let Refusal { number: _, node_id, at, rejections } = refusal;
    admin::Refusal {
        node_id: node_id.clone(),
        time: Some(convert::time(*at)),
        rejections: rejections.iter().map(Into::into).collect(),
    }
}

fn policy(access: Option<&AccessPolicy>) -> admin::Policy {
    access.map(|access| policies::to_message(access, String::new())).unwrap_or_default()
}

fn domain_diff(diff: DomainDiff) -> admin::DomainDiff {
    let DomainDiff { domain, change, added, removed, changed } = diff;
    let change = match change {
        Change::Added => admin::DomainChange::Added,
        Change::Removed => admin::DomainChange::Removed,
        Change::Tools => admin::DomainChange::Tools,
    };
    admin::DomainDiff { domain: domain.to_string(), change: change.into(), added, removed, changed }
}

fn progress(target: &Version, progress: Progress, done: bool) -> admin::WaitForVersionResponse {
    let Progress { outcome, connected, serving, required, behind, held_back, rollout } = progress;
    let count = |count| u32::try_from(count).unwrap_or(u32::MAX);
    let behind = behind.into_iter().map(|NodeRecord { id, version, rejections, .. }| admin::WaitingNode {
        node_id: id,
        version: Some((&version).into()),
        rejections: rejections.iter().map(Into::into).collect(),
    });
    admin::WaitForVersionResponse {
        reached: outcome == Outcome::Reached,
        done,
        version: target.number(),
        connected: count(connected),
        serving: count(serving),
        required: count(required),
        behind: behind.collect(),
        held_back: count(held_back),
        rollout: rollout.map(|rollout| rollouts::show(&rollout, target.store_id())),
    }
}

fn share(share: f64) -> Result<f64, Status> {
    match share {
        0.0 => Ok(1.0),
        share if share > 0.0 && share <= 1.0 => Ok(share),
        _ => Err(status::invalid("share", "must be above 0 and at most 1")),
    }
}

fn timeout(timeout: Option<prost_types::Duration>) -> Result<Duration, Status> {
    let Some(timeout) = timeout else { return Ok(DEFAULT_WAIT) };
    let timeout = Duration::try_from(timeout).ok().filter(|timeout| *timeout <= LONGEST_WAIT);
    timeout.ok_or_else(|| status::invalid("timeout", "must be between nothing and one hour"))
}

// ---- the service ----

#[tonic::async_trait]
impl SnapshotService for Service {
    type WaitForVersionStream =
        Pin<Box<dyn Stream<Item = Result<admin::WaitForVersionResponse, Status>> + Send>>;

    async fn list_snapshots(
        &self,
        request: Request<admin::ListSnapshotsRequest>,
    ) -> Result<Response<admin::ListSnapshotsResponse>, Status> {
        let admin::ListSnapshotsRequest { page_size, page_token } = request.into_inner();
        let before = match page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| status::invalid("page_token", "was not given out"))?),
        };
        let size = page::size(page_size)?;
        let mut versions = self.versions(before, size + 1).await?;
        let more = versions.len() > size;
        versions.truncate(size);
        let last = versions.last().filter(|_| more);
        let next_page_token = last.map(|version| version.number.to_string()).unwrap_or_default();
        let current = self.registrar.current();
        let store_id = current.version().store_id();
        let snapshots = versions.iter().map(|version| show(version, store_id)).collect();
        Ok(Response::new(admin::ListSnapshotsResponse { snapshots, next_page_token }))
    }

    async fn get_snapshot(
        &self,
        request: Request<admin::GetSnapshotRequest>,
    ) -> Result<Response<admin::SnapshotContent>, Status> {
        let version = self.meant(request.into_inner().version).await?;
        let content = self.content(version.number()).await?;
        let records = self.versions(version.number().checked_add(1), 1).await?;
        let record = records.iter().find(|record| record.number == version.number());
        let domains = content.domains.into_iter().map(|(domain, tools)| admin::SnapshotDomain {
            domain: domain.to_string(),
            tools: tools.into_keys().collect(),
        });
        Ok(Response::new(admin::SnapshotContent {
            snapshot: record.map(|record| show(record, version.store_id())),
            domains: domains.collect(),
            policy: Some(policy(content.policy.as_ref())),
        }))
    }

    async fn diff_snapshots(
        &self,
        request: Request<admin::DiffSnapshotsRequest>,
    ) -> Result<Response<admin::DiffSnapshotsResponse>, Status> {
        let admin::DiffSnapshotsRequest { from, to } = request.into_inner();
        let (from, to) = (self.meant(from).await?.number(), self.meant(to).await?.number());
        let (old, new) = (self.content(from).await?, self.content(to).await?);
        Ok(Response::new(admin::DiffSnapshotsResponse {
            from,
            to,
            domains: diff::domains(&old, &new).into_iter().map(domain_diff).collect(),
            policy_changed: old.policy != new.policy,
            policy_from: Some(policy(old.policy.as_ref())),
            policy_to: Some(policy(new.policy.as_ref())),
        }))
    }

    async fn rollback_snapshot(
        &self,
        request: Request<admin::RollbackSnapshotRequest>,
    ) -> Result<Response<admin::RollbackSnapshotResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        let number = request.into_inner().version;
        if number == 0 {
            return Err(status::invalid("version", "must name the version to go back to"));
        }
        let done = self.registrar.rollback(&actor, number).await.map_err(|error| status::change(&error))?;
        Ok(Response::new(admin::RollbackSnapshotResponse {
            version: Some((&done.version).into()),
            frozen: done.frozen.iter().map(ToString::to_string).collect(),
            missing: done.missing.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn wait_for_version(
        &self,
        request: Request<admin::WaitForVersionRequest>,
    ) -> Result<Response<Self::WaitForVersionStream>, Status> {
        let pass = auth::identity(&request)?.pass;
        let admin::WaitForVersionRequest { version, share: part, timeout: longest } = request.into_inner();
        let (part, longest) = (share(part)?, timeout(longest)?);
        let full = |_| Status::resource_exhausted(format!("{MAX_WAITS} wait for versions already"));
        let room = Arc::clone(&self.waits).try_acquire_owned().map_err(full)?;
        let target = self.meant(version).await?;
        let wait = Wait::new(self.nodes.clone(), target.clone(), part, Instant::now() + longest);
        let shutdown = self.shutdown.clone();
        let answers = stream::try_unfold(
            (wait, target, shutdown, (pass, room)),
            |(mut wait, target, shutdown, (pass, room))| async move {
                let next = tokio::select! {
                    biased;
                    () = pass.lapsed() => Err(standing::refusal()),
                    // Whoever waits asks another control plane; this one must not wait for them.
                    () = shutdown.cancelled() => Err(Status::unavailable("the control plane is stopping")),
                    next = wait.next() => next.map_err(|error| status::store(&error)),
                };
                Ok(next?.map(|(state, done)| {
                    (progress(&target, state, done), (wait, target, shutdown, (pass, room)))
                }))
            },
        );
        Ok(Response::new(Box::pin(answers)))
    }

    async fn get_rollout(
        &self,
        _request: Request<admin::GetRolloutRequest>,
    ) -> Result<Response<admin::GetRolloutResponse>, Status> {
        self.rollout_state().await.map(Response::new)
    }

    async fn start_rollout(
        &self,
        request: Request<admin::StartRolloutRequest>,
    ) -> Result<Response<admin::StartRolloutResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        self.start(&actor, request.into_inner()).await.map(Response::new)
    }

    async fn promote_rollout(
        &self,
        request: Request<admin::PromoteRolloutRequest>,
    ) -> Result<Response<admin::PromoteRolloutResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        self.promote(&actor, request.into_inner()).await.map(Response::new)
    }

    async fn abort_rollout(
        &self,
        request: Request<admin::AbortRolloutRequest>,
    ) -> Result<Response<admin::AbortRolloutResponse>, Status> {
        let actor = auth::identity(&request)?.actor;
        self.abort(&actor, request.into_inner()).await.map(Response::new)
    }
}
