//! `NodeService`.

use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, node_service_server::NodeService};
use toolplane_registry::Version;

use super::{convert, page, status};
use crate::clock::Clock;
use crate::registrar::Registrar;
use crate::rollout::{self, Target};
use crate::snapshots::Published;
use crate::store::NodeRecord;
use crate::stream::nodes::Nodes;

#[derive(Debug)]
pub(super) struct Service {
    nodes: Nodes,
    registrar: Registrar,
    clock: Clock,
}

impl Service {
    pub(super) fn new(nodes: Nodes, registrar: Registrar, clock: Clock) -> Self {
        Self { nodes, registrar, clock }
    }
}

fn show(record: NodeRecord, published: &Published) -> admin::Node {
    let (rollout, newest) = (published.registry.rollout.as_ref(), published.version());
    let target = match rollout::target(rollout, newest.store_id(), &record.labels, &record.version) {
        Target::Newest => newest.clone(),
        Target::Held => record.version.clone(),
        Target::Baseline => {
            Version::new(newest.store_id(), rollout.map_or(newest.number(), |rollout| rollout.baseline))
        }
    };
    let held_back = rollout.is_some_and(|rollout| rollout.holds_back(&record.labels, newest.number()));
    let NodeRecord {
        id,
        control_plane: _,
        stream: _,
        build,
        labels,
        version,
        digest,
        connected_at,
        disconnected_at,
        acked_at,
        persisted,
        rejections,
    } = record;
    admin::Node {
        node_id: id,
        build,
        labels: labels.into_iter().collect(),
        connected: disconnected_at.is_none(),
        version: Some((&version).into()),
        connect_time: Some(convert::time(connected_at)),
        ack_time: acked_at.map(convert::time),
        rejections: rejections.iter().map(Into::into).collect(),
        persisted,
        disconnect_time: disconnected_at.map(convert::time),
        held_back,
        digest,
        target: Some((&target).into()),
    }
}

#[tonic::async_trait]
impl NodeService for Service {
    async fn list_nodes(
        &self,
        request: Request<admin::ListNodesRequest>,
    ) -> Result<Response<admin::ListNodesResponse>, Status> {
        let admin::ListNodesRequest { page_size, page_token } = request.into_inner();
        let records = self.nodes.list().await.map_err(|error| status::store(&error))?;
        let (page, next_page_token) =
            page::cut(records.into_iter(), &page_token, page::size(page_size)?, |record| record.id.clone());
        let published = self.registrar.current();
        Ok(Response::new(admin::ListNodesResponse {
            nodes: page.into_iter().map(|record| show(record, &published)).collect(),
            latest: Some(published.version().into()),
            next_page_token,
            read_time: Some(convert::time(self.clock.now())),
        }))
    }
}
