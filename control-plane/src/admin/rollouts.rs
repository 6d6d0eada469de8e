//! The rollout methods of `SnapshotService`.

use tonic::Status;
use toolplane_proto::admin;
use toolplane_registry::Version;

use super::snapshots::Service;
use super::{convert, status};
use crate::rollout::{Canary, Rollout};
use crate::store::NodeRecord;
use crate::store::history::Refusal;

pub(super) fn show(rollout: &Rollout, store_id: &str) -> admin::Rollout {
    let Rollout { etag, canary, baseline, actor, started_at, upstreams: _ } = rollout;
    admin::Rollout {
        label: canary.label().to_owned(),
        value: canary.value().to_owned(),
        baseline: Some((&Version::new(store_id.to_owned(), *baseline)).into()),
        actor: actor.clone(),
        start_time: Some(convert::time(*started_at)),
        etag: etag.clone(),
    }
}

fn show_node(
    node: NodeRecord,
    rollout: &Rollout,
    newest: &Version,
    refusals: &[Refusal],
) -> admin::RolloutNode {
    let refused = |refusal: &&Refusal| refusal.node_id == node.id && refusal.at >= node.connected_at;
    let current = !newest.is_none() && node.version.covers(newest);
    let rejections = refusals.iter().filter(refused).flat_map(|refusal| &refusal.rejections);
    admin::RolloutNode {
        connected: node.disconnected_at.is_none(),
        canary: rollout.canary.is(&node.labels),
        current,
        version: Some((&node.version).into()),
        rejections: rejections.filter(|_| !current).map(Into::into).collect(),
        node_id: node.id,
    }
}

impl Service {
    pub(super) async fn rollout_state(&self) -> Result<admin::GetRolloutResponse, Status> {
        let newest = self.meant(0).await?;
        let rollout = self.store.rollout().await.map_err(|error| status::store(&error))?;
        let Some(rollout) = rollout else {
            let newest = Some((&newest).into());
            return Ok(admin::GetRolloutResponse { rollout: None, newest, nodes: Vec::new() });
        };
        let nodes = self.nodes.list().await.map_err(|error| status::store(&error))?;
        let records = self.versions(newest.number().checked_add(1), 1).await?;
        let record = records.into_iter().find(|record| record.number == newest.number());
        let refusals = record.map(|record| record.refusals).unwrap_or_default();
        let nodes = nodes.into_iter().map(|node| show_node(node, &rollout, &newest, &refusals));
        Ok(admin::GetRolloutResponse {
            rollout: Some(show(&rollout, newest.store_id())),
            nodes: nodes.collect(),
            newest: Some((&newest).into()),
        })
    }

    pub(super) async fn start(
        &self,
        actor: &str,
        request: admin::StartRolloutRequest,
    ) -> Result<admin::StartRolloutResponse, Status> {
        let admin::StartRolloutRequest { label, value, force, validate_only } = request;
        let canary = Canary::new(&label, &value).map_err(|reason| status::invalid("label", reason))?;
        // Asked first, so that nobody mends a label when that is not what is in the way; the commit asks again.
        if let Some(Rollout { canary, baseline, .. }) =
            self.store.rollout().await.map_err(|error| status::store(&error))?
        {
            let error = crate::store::Error::RolloutUnderWay { canary: canary.to_string(), baseline };
            return Err(status::store(&error));
        }
        let nodes = self.nodes.list().await.map_err(|error| status::store(&error))?;
        let is_there = |node: &NodeRecord| node.disconnected_at.is_none() && canary.is(&node.labels);
        if !force && !nodes.iter().any(is_there) {
            return Err(Status::failed_precondition(format!(
                "no connected node has the label `{canary}`: no node would get what is changed"
            )));
        }
        if validate_only {
            let rollout =
                admin::Rollout { label, value, actor: actor.to_owned(), ..admin::Rollout::default() };
            let newest = self.meant(0).await?;
            let version = Some((&newest).into());
            return Ok(admin::StartRolloutResponse { rollout: Some(rollout), version });
        }
        let started = self.registrar.start_rollout(actor, canary).await;
        let (rollout, version) = started.map_err(|error| status::change(&error))?;
        Ok(admin::StartRolloutResponse {
            rollout: Some(show(&rollout, version.store_id())),
            version: Some((&version).into()),
        })
    }

    pub(super) async fn promote(
        &self,
        actor: &str,
        request: admin::PromoteRolloutRequest,
    ) -> Result<admin::PromoteRolloutResponse, Status> {
        let admin::PromoteRolloutRequest { etag, validate_only } = request;
        let rollout = self.registrar.rollout(&etag).await.map_err(|error| status::change(&error))?;
        if validate_only {
            let newest = self.meant(0).await?;
            let shown = Some(show(&rollout, newest.store_id()));
            return Ok(admin::PromoteRolloutResponse { rollout: shown, version: Some((&newest).into()) });
        }
        let ended = self.registrar.promote_rollout(actor, rollout).await;
        let ended = ended.map_err(|error| status::change(&error))?;
        Ok(admin::PromoteRolloutResponse {
            rollout: Some(show(&ended.rollout, ended.version.store_id())),
            version: Some((&ended.version).into()),
        })
    }

    pub(super) async fn abort(
        &self,
        actor: &str,
        request: admin::AbortRolloutRequest,
    ) -> Result<admin::AbortRolloutResponse, Status> {
        let admin::AbortRolloutRequest { etag, validate_only } = request;
        let rollout = self.registrar.rollout(&etag).await.map_err(|error| status::change(&error))?;
        if validate_only {
            let newest = self.meant(0).await?;
            return Ok(admin::AbortRolloutResponse {
                rollout: Some(show(&rollout, newest.store_id())),
                version: Some((&newest).into()),
                ..admin::AbortRolloutResponse::default()
            });
        }
        let ended = self.registrar.abort_rollout(actor, rollout).await;
        let ended = ended.map_err(|error| status::change(&error))?;
        Ok(admin::AbortRolloutResponse {
            rollout: Some(show(&ended.rollout, ended.version.store_id())),
            version: Some((&ended.version).into()),
            frozen: ended.frozen.iter().map(ToString::to_string).collect(),
            missing: ended.missing.iter().map(ToString::to_string).collect(),
        })
    }
}
