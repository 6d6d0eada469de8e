//! Registrations, answered from the script.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};
use toolplane_proto::sync::registration_service_server::RegistrationService;
use toolplane_proto::sync::{
    CheckCredentialRequest, CheckCredentialResponse, DeregisterServerRequest, DeregisterServerResponse, Hold,
    ListServersRequest, ListServersResponse, RefreshRegistryRequest, RefreshRegistryResponse,
    RefreshServerRequest, RefreshServerResponse, RegisterServerRequest, RegisterServerResponse, Version,
};

use super::{CREDENTIAL, Shared};

pub(super) struct Registration(pub(super) Arc<Shared>);

impl Registration {
    /// Records the call, waits until answers may go out, checks the credential, and makes the scripted change.
    async fn change(
        &self,
        method: &'static str,
        credential: Option<&str>,
    ) -> Result<Option<Version>, Status> {
        let shared = &self.0;
        shared.called.send_modify(|called| called.push(method));
        shared.answering.subscribe().wait_for(|answering| *answering).await.unwrap();
        if credential.is_some_and(|credential| credential != CREDENTIAL) {
            let details = ErrorDetails::with_error_info("unauthorized", "toolplane", HashMap::new());
            return Err(Status::with_error_details(Code::Unauthenticated, "no", details));
        }
        let effect = {
            let mut script = shared.script.lock().unwrap();
            if let (Some(status), true) = (&script.refusal, method != "check") {
                return Err(status.clone());
            }
            if method == "check" || method == "list" { None } else { script.effect.take() }
        };
        if let Some(snapshot) = effect {
            shared.publish(&snapshot);
        }
        Ok(Some((&shared.script.lock().unwrap().version).into()))
    }

    fn hold(&self) -> Option<Hold> {
        self.0.script.lock().unwrap().hold.clone()
    }
}

#[tonic::async_trait]
impl RegistrationService for Registration {
    async fn register_server(
        &self,
        request: Request<RegisterServerRequest>,
    ) -> Result<Response<RegisterServerResponse>, Status> {
        let request = request.into_inner();
        let version = self.change("register", Some(&request.credential)).await?;
        Ok(Response::new(RegisterServerResponse {
            discovery_url: request.discovery_url.unwrap_or_else(|| request.url.clone()),
            domain: request.domain,
            url: request.url,
            tools_discovered: 1,
            tools_added: vec!["x".to_owned()],
            version,
            hold: self.hold(),
        }))
    }

    async fn deregister_server(
        &self,
        request: Request<DeregisterServerRequest>,
    ) -> Result<Response<DeregisterServerResponse>, Status> {
        let request = request.into_inner();
        let version = self.change("deregister", Some(&request.credential)).await?;
        let tools_removed = vec!["x".to_owned()];
        Ok(Response::new(DeregisterServerResponse {
            domain: request.domain,
            tools_removed,
            version,
            hold: self.hold(),
        }))
    }

    async fn list_servers(
        &self,
        request: Request<ListServersRequest>,
    ) -> Result<Response<ListServersResponse>, Status> {
        self.change("list", Some(&request.into_inner().credential)).await?;
        Ok(Response::new(ListServersResponse::default()))
    }

    async fn refresh_server(
        &self,
        request: Request<RefreshServerRequest>,
    ) -> Result<Response<RefreshServerResponse>, Status> {
        let request = request.into_inner();
        let version = self.change("refresh_server", Some(&request.credential)).await?;
        Ok(Response::new(RefreshServerResponse {
            domain: request.domain,
            digest: request.expected_digest.unwrap_or_default(),
            version,
            hold: self.hold(),
            ..RefreshServerResponse::default()
        }))
    }

    async fn refresh_registry(
        &self,
        _request: Request<RefreshRegistryRequest>,
    ) -> Result<Response<RefreshRegistryResponse>, Status> {
        let version = self.change("refresh", None).await?;
        let errors = self.0.script.lock().unwrap().refresh_errors.clone();
        Ok(Response::new(RefreshRegistryResponse { version, errors, hold: self.hold() }))
    }

    async fn check_credential(
        &self,
        request: Request<CheckCredentialRequest>,
    ) -> Result<Response<CheckCredentialResponse>, Status> {
        self.change("check", Some(&request.into_inner().credential)).await?;
        Ok(Response::new(CheckCredentialResponse {}))
    }
}
