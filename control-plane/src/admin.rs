//! The gRPC surface: which services there are, who may call which method, and in what order a request passes.
//!
//! A request passes: [`auth::guard`] (bearer token → role → method) → the service. Health alone is outside.

mod audit;
pub mod auth;
mod convert;
mod nodes;
mod oauth;
mod page;
mod policies;
mod rollouts;
mod snapshots;
mod status;
mod tls;
mod tokens;
mod tools;
mod upstreams;

use std::sync::Arc;

use axum::middleware;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;
use toolplane_proto::admin::{
    audit_service_server::AuditServiceServer, node_service_server::NodeServiceServer,
    policy_service_server::PolicyServiceServer, snapshot_service_server::SnapshotServiceServer,
    token_service_server::TokenServiceServer, tool_service_server::ToolServiceServer,
    upstream_service_server::UpstreamServiceServer,
};
use toolplane_proto::sync::registration_service_server::RegistrationServiceServer;

use crate::clock::Clock;
use crate::environment::Environment;
use crate::metrics::{Metrics, rpc};
use crate::registrar::Registrar;
use crate::store::Store;
use crate::stream::nodes::Nodes;
use crate::{registration, stream};

/// Largest request, in bytes.
const MAX_REQUEST: usize = 8 << 20;

/// What the services work with.
#[derive(Debug)]
pub struct Parts {
    /// Where tokens, audit records and nodes are kept.
    pub store: Arc<dyn Store>,
    /// Changes the registry.
    pub registrar: Registrar,
    /// Verifies bearer tokens.
    pub tokens: auth::Tokens,
    /// Knows the nodes.
    pub nodes: Nodes,
    /// What the environment declares.
    pub environment: Environment,
    /// The sync stream.
    pub stream: stream::Service,
    /// Ends what clients wait for.
    pub shutdown: CancellationToken,
    /// The registration proxy.
    pub registration: registration::Service,
    /// The time of day.
    pub clock: Clock,
    /// What is measured.
    pub metrics: Metrics,
}

/// Every service, behind the token check, and health in front of it.
pub async fn routes(parts: Parts) -> Result<(Routes, HealthReporter), tonic_reflection::server::Error> {
    let Parts {
        store,
        registrar,
        tokens,
        nodes,
        environment,
        stream,
        registration,
        shutdown,
        clock,
        metrics,
    } = parts;
    let mut builder = Routes::builder();
    builder
        .add_service(
            UpstreamServiceServer::new(upstreams::Service::new(registrar.clone(), environment.clone()))
                .max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(
            PolicyServiceServer::new(policies::Service::new(registrar.clone(), environment))
                .max_decoding_message_size(MAX_REQUEST),
        )
        .add_service(SnapshotServiceServer::new(snapshots::Service {
            store: Arc::clone(&store),
            registrar: registrar.clone(),
            nodes: nodes.clone(),
            shutdown,
            waits: Arc::new(Semaphore::new(snapshots::MAX_WAITS)),
        }))
        .add_service(ToolServiceServer::new(tools::Service::new(registrar.clone())))
        .add_service(NodeServiceServer::new(nodes::Service::new(nodes, registrar, clock.clone())))
        .add_service(TokenServiceServer::new(tokens::Service::new(
            Arc::clone(&store),
            clock,
            tokens.standing(),
        )))
        .add_service(AuditServiceServer::new(audit::Service::new(store)))
        .add_service(stream::Server::new(stream, MAX_REQUEST))
        .add_service(RegistrationServiceServer::new(registration).max_decoding_message_size(MAX_REQUEST))
        .add_service(
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(toolplane_proto::FILE_DESCRIPTOR_SET)
                .build_v1()?,
        );
    let guarded = builder
        .routes()
        .into_axum_router()
        .layer(middleware::from_fn_with_state(tokens, auth::guard))
        .layer(middleware::from_fn_with_state(metrics, rpc::measure));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_service_status("", tonic_health::ServingStatus::Serving).await;
    let open = Routes::new(health_service).into_axum_router();
    Ok((Routes::from(open.fallback_service(guarded)), health))
}
