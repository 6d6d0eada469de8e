//! A hook service that takes part in one phase and changes nothing: what it costs is the way there and back.

use std::path::PathBuf;

use tokio::net::UnixListener;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use toolplane_proto::hooks as wire;
use toolplane_proto::hooks::hook_service_server::{HookService, HookServiceServer};

/// The same in Python.
pub(crate) const PYTHON: &str = "\
class Quiet:\n    async def before_execute(self, context):\n        pass\n\n\ndef create():\n    return [Quiet()]\n";

#[derive(Debug)]
struct Quiet;

type Answer<T> = Result<Response<T>, Status>;

fn not_asked<T>() -> Answer<T> {
    Err(Status::unimplemented("not announced"))
}

#[tonic::async_trait]
impl HookService for Quiet {
    async fn describe(&self, _: Request<wire::DescribeRequest>) -> Answer<wire::DescribeResponse> {
        Ok(Response::new(wire::DescribeResponse {
            name: "quiet".to_owned(),
            instance: "1".to_owned(),
            phases: vec![wire::Phase::BeforeExecute.into()],
            ..wire::DescribeResponse::default()
        }))
    }

    async fn before_execute(
        &self,
        _: Request<wire::BeforeExecuteRequest>,
    ) -> Answer<wire::BeforeExecuteResponse> {
        Ok(Response::new(wire::BeforeExecuteResponse::default()))
    }

    async fn authenticate(
        &self,
        _: Request<wire::AuthenticateRequest>,
    ) -> Answer<wire::AuthenticateResponse> {
        not_asked()
    }

    async fn filter_tools(&self, _: Request<wire::FilterToolsRequest>) -> Answer<wire::FilterToolsResponse> {
        not_asked()
    }

    async fn authorize_code(
        &self,
        _: Request<wire::AuthorizeCodeRequest>,
    ) -> Answer<wire::AuthorizeCodeResponse> {
        not_asked()
    }

    async fn transform_result(
        &self,
        _: Request<wire::TransformResultRequest>,
    ) -> Answer<wire::TransformResultResponse> {
        not_asked()
    }

    async fn after_execute(
        &self,
        _: Request<wire::AfterExecuteRequest>,
    ) -> Answer<wire::AfterExecuteResponse> {
        not_asked()
    }

    async fn report_error(&self, _: Request<wire::ReportErrorRequest>) -> Answer<wire::ReportErrorResponse> {
        not_asked()
    }

    async fn end_call(&self, _: Request<wire::EndCallRequest>) -> Answer<wire::EndCallResponse> {
        not_asked()
    }
}

/// Serves at a socket, and says on its first line that it does.
pub(crate) async fn run(socket: PathBuf) -> anyhow::Result<()> {
    let listener = UnixListener::bind(&socket)?;
    println!("{}", socket.display());
    let incoming = UnixListenerStream::new(listener);
    Server::builder().add_service(HookServiceServer::new(Quiet)).serve_with_incoming(incoming).await?;
    Ok(())
}
