//! `AuditService`.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use toolplane_proto::admin::{self, audit_service_server::AuditService};

use super::{convert, page, status};
use crate::store::{AuditRecord, Store};

#[derive(Debug)]
pub(super) struct Service {
    store: Arc<dyn Store>,
}

impl Service {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }
}

fn show(record: AuditRecord) -> admin::AuditRecord {
    let AuditRecord { id, at, actor, action, subject, detail, version } = record;
    let create_time = Some(convert::time(at));
    admin::AuditRecord { record_id: id, create_time, actor, action, subject, detail, version }
}

#[tonic::async_trait]
impl AuditService for Service {
    async fn list_audit_records(
        &self,
        request: Request<admin::ListAuditRecordsRequest>,
    ) -> Result<Response<admin::ListAuditRecordsResponse>, Status> {
        let admin::ListAuditRecordsRequest { page_size, page_token } = request.into_inner();
        let before = match page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| status::invalid("page_token", "is not one of ours"))?),
        };
        let size = page::size(page_size)?;
        let limit = u32::try_from(size + 1).unwrap_or(u32::MAX);
        let records = self.store.list_audit(before, limit).await.map_err(|error| status::store(&error))?;
        let (page, next_page_token) =
            page::cut(records.into_iter(), "", size, |record| record.id.to_string());
        let records = page.into_iter().map(show).collect();
        Ok(Response::new(admin::ListAuditRecordsResponse { records, next_page_token }))
    }
}
