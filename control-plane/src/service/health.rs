//! What the gRPC health service says: serving, for as long as the database can be read.

use tokio_util::sync::CancellationToken;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::snapshots::Reach;

/// The name that stands for the whole server.
const EVERYTHING: &str = "";

/// Reports until the token is cancelled.
pub(super) async fn report(health: HealthReporter, mut reach: Reach, stopping: CancellationToken) {
    let following = async {
        while reach.changed().await.is_ok() {
            let reached = *reach.borrow_and_update();
            let status = if reached { ServingStatus::Serving } else { ServingStatus::NotServing };
            health.set_service_status(EVERYTHING, status).await;
        }
    };
    stopping.run_until_cancelled(following).await;
}
