//! A hook service in Rust: it lets callers in by a key, hides what they may not know of, and stamps calls.
//!
//! ```text
//! cargo run --example hook_service -- /tmp/hooks.sock
//! TOOLPLANE_HOOKS=unix:/tmp/hooks.sock toolplane standalone
//! ```
//!
//! A caller whose `x-api-key` is `admin-key` sees everything, one with `reader-key` no tool whose name holds `delete`,
//! and everybody else nothing and may call nothing.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use toolplane_proto::hooks as wire;
use toolplane_proto::hooks::authenticate_response::Outcome;
use toolplane_proto::hooks::hook_service_server::{HookService, HookServiceServer};

/// What a node is told for how long to keep who may see what.
const KEEP_FOR: prost_types::Duration = prost_types::Duration { seconds: 30, nanos: 0 };

#[derive(Debug)]
struct Keys {
    /// Different for every start, so that a call which spans a restart is refused.
    instance: String,
}

impl Keys {
    /// A call that began with another start of this service knows things that are gone.
    fn check(&self, call: Option<wire::Call>) -> Result<wire::Call, Status> {
        let call = call.ok_or_else(|| Status::invalid_argument("there is no call"))?;
        if call.instance == self.instance { Ok(call) } else { Err(Status::failed_precondition("restarted")) }
    }
}

fn role(call: &wire::Call) -> Option<&'static str> {
    let key = call.headers.iter().find(|header| header.name == "x-api-key")?;
    match key.value.as_str() {
        "admin-key" => Some("admin"),
        "reader-key" => Some("reader"),
        _ => None,
    }
}

#[tonic::async_trait]
impl HookService for Keys {
    async fn describe(
        &self,
        _: Request<wire::DescribeRequest>,
    ) -> Result<Response<wire::DescribeResponse>, Status> {
        let phases = [wire::Phase::Authenticate, wire::Phase::FilterTools, wire::Phase::BeforeExecute];
        Ok(Response::new(wire::DescribeResponse {
            name: "keys".to_owned(),
            instance: self.instance.clone(),
            phases: phases.into_iter().map(Into::into).collect(),
            wants_end_call: false,
            headers: vec!["x-api-key".to_owned()],
        }))
    }

    async fn authenticate(
        &self,
        request: Request<wire::AuthenticateRequest>,
    ) -> Result<Response<wire::AuthenticateResponse>, Status> {
        let call = self.check(request.into_inner().call)?;
        let identity = |role: &str| wire::Identity {
            handle: role.to_owned(),
            subject: role.to_owned(),
            // Callers of one role see the same, so a node may ask once for all of them.
            visibility_key: role.to_owned(),
        };
        let outcome = role(&call).map(|role| Outcome::Identity(identity(role)));
        Ok(Response::new(wire::AuthenticateResponse { outcome }))
    }

    async fn filter_tools(
        &self,
        request: Request<wire::FilterToolsRequest>,
    ) -> Result<Response<wire::FilterToolsResponse>, Status> {
        let wire::FilterToolsRequest { call, tools, domain: _ } = request.into_inner();
        let call = self.check(call)?;
        let may_see = |tool: &wire::Tool| match call.identity.as_ref().map(|who| who.handle.as_str()) {
            Some("admin") => true,
            Some("reader") => !tool.name.contains("delete"),
            _ => false,
        };
        let visible = (0..).zip(&tools).filter(|(_, tool)| may_see(tool)).map(|(at, _)| at).collect();
        Ok(Response::new(wire::FilterToolsResponse { visible, keep_for: Some(KEEP_FOR) }))
    }

    async fn before_execute(
        &self,
        request: Request<wire::BeforeExecuteRequest>,
    ) -> Result<Response<wire::BeforeExecuteResponse>, Status> {
        let call = self.check(request.into_inner().call)?;
        let mut answer = wire::BeforeExecuteResponse::default();
        if let Some(identity) = call.identity {
            let (name, value) = ("x-caller-role".to_owned(), identity.subject);
            answer.extra_headers.push(wire::Header { name, value });
        } else {
            let (message, code) = ("an API key is needed".to_owned(), "unauthenticated".to_owned());
            answer.denial = Some(wire::Denial { message, code });
        }
        Ok(Response::new(answer))
    }

    // A node asks no phase that was not announced.

    async fn authorize_code(
        &self,
        _: Request<wire::AuthorizeCodeRequest>,
    ) -> Result<Response<wire::AuthorizeCodeResponse>, Status> {
        Err(Status::unimplemented("not announced"))
    }

    async fn transform_result(
        &self,
        _: Request<wire::TransformResultRequest>,
    ) -> Result<Response<wire::TransformResultResponse>, Status> {
        Err(Status::unimplemented("not announced"))
    }

    async fn after_execute(
        &self,
        _: Request<wire::AfterExecuteRequest>,
    ) -> Result<Response<wire::AfterExecuteResponse>, Status> {
        Err(Status::unimplemented("not announced"))
    }

    async fn report_error(
        &self,
        _: Request<wire::ReportErrorRequest>,
    ) -> Result<Response<wire::ReportErrorResponse>, Status> {
        Err(Status::unimplemented("not announced"))
    }

    async fn end_call(
        &self,
        _: Request<wire::EndCallRequest>,
    ) -> Result<Response<wire::EndCallResponse>, Status> {
        Ok(Response::new(wire::EndCallResponse {}))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let socket: PathBuf = std::env::args_os().nth(1).ok_or("name a path for the socket")?.into();
    if socket.exists() {
        std::fs::remove_file(&socket)?;
    }
    #[expect(clippy::disallowed_methods, reason = "an example reads the clock for itself")]
    let started = SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos();
    let keys = Keys { instance: format!("{started}-{}", std::process::id()) };
    let incoming = UnixListenerStream::new(UnixListener::bind(&socket)?);
    Server::builder().add_service(HookServiceServer::new(keys)).serve_with_incoming(incoming).await?;
    Ok(())
}
