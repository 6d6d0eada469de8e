//! Bearer tokens and roles.
//!
//! Owns the check that stands in front of every service: the token is looked up by its hash, its role is held
//! against the table of methods. A method that the table does not know takes role admin, so that a new one is
//! closed until somebody opens it. Registering through a node is a capability of that node's token.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use http::header::AUTHORIZATION;
use tonic::Status;
use toolplane_registry::Digest;

use crate::clock::Clock;
use crate::registration;
use crate::service::Activity;
use crate::standing::{self, Pass, Standing};
use crate::store::{self, Role, Store, Token};

/// Looks tokens up. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tokens {
    store: Arc<dyn Store>,
    clock: Clock,
    standing: Standing,
}

/// Who is calling; services find it in the request's extensions.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Token id, for the audit.
    pub actor: String,
    /// What it may do.
    pub role: Role,
    /// Holds for as long as the token does: what outlives the request ends with it.
    pub pass: Pass,
}

impl Tokens {
    /// Tokens of that store.
    pub fn new(store: Arc<dyn Store>, clock: Clock) -> Self {
        let standing = Standing::new(Arc::clone(&store), clock.clone());
        Self { store, clock, standing }
    }

    /// The valid token with that secret.
    pub async fn find(&self, secret: &str) -> Result<Option<Token>, store::Error> {
        let now = self.clock.now();
        let token = self.store.find_token(Digest::of(secret.as_bytes())).await?;
        Ok(token.filter(|token| standing::holds(token, now)))
    }

    /// The valid token with that secret, followed from here on.
    async fn admit(&self, secret: &str) -> Result<Option<(Token, Pass)>, store::Error> {
        loop {
            let looks = self.standing.looks();
            let Some(token) = self.find(secret).await? else { return Ok(None) };
            if let Some(pass) = self.standing.enter(&token, looks) {
                return Ok(Some((token, pass)));
            }
        }
    }

    /// Follows the tokens of what is open.
    pub fn standing(&self) -> Standing {
        self.standing.clone()
    }
}

/// What a token may do with a method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Allowed,
    /// Its role does not reach so far.
    Role,
    /// Its role would, but it is not allowed to register.
    Registration,
}

/// Whether a token may call a method, given as its path (`/package.Service/Method`).
fn access(role: Role, may_register: bool, path: &str) -> Access {
    let Some((service, method)) = path.trim_start_matches('/').split_once('/') else { return Access::Role };
    if role == Role::Node && service == "toolplane.sync.v1.RegistrationService" {
        // A refresh changes what upstreams decide anyway, and is asked for by callers of tools.
        let may = may_register || method == "RefreshRegistry";
        return if may { Access::Allowed } else { Access::Registration };
    }
    if allows(role, service, method) { Access::Allowed } else { Access::Role }
}

fn allows(role: Role, service: &str, method: &str) -> bool {
    let reads = match service {
        "toolplane.admin.v1.ToolService"
        | "toolplane.admin.v1.NodeService"
        | "grpc.reflection.v1.ServerReflection" => true,
        "toolplane.admin.v1.UpstreamService" => matches!(method, "GetUpstream" | "ListUpstreams"),
        "toolplane.admin.v1.PolicyService" => method == "GetPolicy",
        "toolplane.admin.v1.SnapshotService" => {
            matches!(
                method,
                "ListSnapshots" | "GetSnapshot" | "DiffSnapshots" | "WaitForVersion" | "GetRollout"
            )
        }
        _ => false,
    };
    match role {
        Role::Admin => true,
        // A rollback is an administrator's, and so is the end of the freeze that it brings.
        Role::Registrar => {
            reads || service == "toolplane.admin.v1.UpstreamService" && method != "ResumeUpstream"
        }
        Role::Viewer => reads,
        Role::Node => service == "toolplane.sync.v1.SyncService",
    }
}

/// Refuses what the bearer token does not allow, before any service sees it.
pub async fn guard(State(tokens): State<Tokens>, mut request: Request, next: Next) -> Response {
    let secret = request
        .headers()
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.strip_prefix("Bearer "));
    let Some(secret) = secret else {
        return refuse(Status::unauthenticated("a bearer token is needed"));
    };
    let (token, pass) = match tokens.admit(secret).await {
        Ok(Some(admitted)) => admitted,
        Ok(None) => {
            return refuse(Status::unauthenticated("the token is not known, has expired or was revoked"));
        }
        Err(error) => {
            tracing::error!(%error, "cannot look up a token");
            return refuse(Status::unavailable("tokens cannot be looked up: the database does not answer"));
        }
    };
    match access(token.role, token.may_register, request.uri().path()) {
        Access::Allowed => {}
        Access::Role => {
            let role = token.role.as_str();
            return refuse(Status::permission_denied(format!("role `{role}` does not allow this")));
        }
        Access::Registration => return refuse(registration::refusal::not_through_this_node()),
    }
    if let Some(connection) = request.extensions().get::<Activity>() {
        connection.showed_token();
    }
    request.extensions_mut().insert(Identity { actor: token.id, role: token.role, pass });
    next.run(request).await
}

fn refuse(status: Status) -> Response {
    status.into_http::<axum::body::Body>().into_response()
}

/// Who is calling a service behind [`guard`].
pub fn identity<T>(request: &tonic::Request<T>) -> Result<Identity, Status> {
    let identity = request.extensions().get::<Identity>().cloned();
    identity.ok_or_else(|| Status::internal("the request passed no token check"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_reach_exactly_their_methods() {
        use Role::{Admin, Node, Registrar, Viewer};
        let table: [(&str, &[Role]); 22] = [
            ("/toolplane.sync.v1.SyncService/Subscribe", &[Admin, Node]),
            ("/toolplane.sync.v1.RegistrationService/RegisterServer", &[Admin, Node]),
            ("/toolplane.admin.v1.UpstreamService/ListUpstreams", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.UpstreamService/CreateUpstream", &[Admin, Registrar]),
            ("/toolplane.admin.v1.UpstreamService/ResumeUpstream", &[Admin]),
            ("/toolplane.admin.v1.SnapshotService/ListSnapshots", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.SnapshotService/GetSnapshot", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.SnapshotService/DiffSnapshots", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.SnapshotService/WaitForVersion", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.SnapshotService/RollbackSnapshot", &[Admin]),
            ("/toolplane.admin.v1.SnapshotService/GetRollout", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.SnapshotService/StartRollout", &[Admin]),
            ("/toolplane.admin.v1.SnapshotService/PromoteRollout", &[Admin]),
            ("/toolplane.admin.v1.SnapshotService/AbortRollout", &[Admin]),
            ("/toolplane.admin.v1.PolicyService/GetPolicy", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.PolicyService/SetPolicy", &[Admin]),
            ("/toolplane.admin.v1.ToolService/ListTools", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.NodeService/ListNodes", &[Admin, Registrar, Viewer]),
            ("/toolplane.admin.v1.TokenService/CreateToken", &[Admin]),
            ("/toolplane.admin.v1.AuditService/ListAuditRecords", &[Admin]),
            ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &[Admin, Registrar, Viewer]),
            ("/some.other.Service/Method", &[Admin]),
        ];
        for (path, may) in table {
            for role in [Admin, Registrar, Viewer, Node] {
                let allowed = access(role, true, path) == Access::Allowed;
                assert_eq!(allowed, may.contains(&role), "{role:?} {path}");
            }
        }
    }

    #[test]
    fn a_node_token_without_the_capability_follows_and_refreshes_only() {
        let of_node = |path: &str| access(Role::Node, false, path);
        assert_eq!(of_node("/toolplane.sync.v1.SyncService/Subscribe"), Access::Allowed);
        assert_eq!(of_node("/toolplane.sync.v1.RegistrationService/RefreshRegistry"), Access::Allowed);
        for method in
            ["RegisterServer", "DeregisterServer", "ListServers", "RefreshServer", "CheckCredential", "Novel"]
        {
            let path = format!("/toolplane.sync.v1.RegistrationService/{method}");
            assert_eq!(of_node(&path), Access::Registration, "{method}");
            assert_eq!(access(Role::Admin, false, &path), Access::Allowed, "{method}");
        }
    }
}
