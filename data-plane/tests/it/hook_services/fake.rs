//! A hook service that does as it is told, in a runtime of its own, so that it can be killed at any moment.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, mpsc, watch};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use toolplane_data_plane::hooks::Phase;
use toolplane_proto::hooks as wire;
use toolplane_proto::hooks::authenticate_response::Outcome;
use toolplane_proto::hooks::hook_service_server::{HookService, HookServiceServer};
use tower::BoxError;
use tower::util::MapResultLayer;

use crate::harness::PATIENCE;

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behavior {
    Well,
    Hang,
    Fail,
    UnknownPosition,
    /// Names the same tool over and over.
    Repeats,
    /// Changes arguments into more than any are.
    TooMuch,
    NoJson,
    NoObject,
    ForbiddenHeader,
    BrokenHeader,
    OddCode,
    TooLarge,
    /// Fails before an execution, and knows nothing of the call from then on.
    Misses,
    /// Forgets the call once it is executed.
    Forgets,
}

pub(crate) struct FakeHooks {
    folder: TempDir,
    runtime: Option<Runtime>,
    shared: Arc<Shared>,
    ended: mpsc::UnboundedReceiver<String>,
}

#[derive(Debug)]
struct Shared {
    behavior: Mutex<Behavior>,
    hold: Mutex<Option<Phase>>,
    held: Notify,
    released: Notify,
    /// Ends the connections that there are, gracefully, when it is cancelled.
    winding_up: Mutex<CancellationToken>,
    asked: Mutex<Vec<(&'static str, wire::Call)>>,
    count: watch::Sender<usize>,
    starts: AtomicUsize,
    described: AtomicUsize,
    /// Takes back every stream, and nothing but the stream.
    resets: AtomicBool,
    /// What it says of itself, where that is not the usual.
    description: Mutex<Option<wire::DescribeResponse>>,
    ended: mpsc::UnboundedSender<String>,
}

/// One start of it.
#[derive(Debug)]
struct Started {
    shared: Arc<Shared>,
    instance: String,
}

impl FakeHooks {
    pub(crate) async fn start() -> Self {
        let (sender, ended) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            behavior: Mutex::new(Behavior::Well),
            hold: Mutex::default(),
            held: Notify::new(),
            released: Notify::new(),
            winding_up: Mutex::default(),
            asked: Mutex::default(),
            count: watch::Sender::new(0),
            starts: AtomicUsize::new(0),
            described: AtomicUsize::new(0),
            resets: AtomicBool::new(false),
            description: Mutex::default(),
            ended: sender,
        });
        let mut hooks = Self { folder: TempDir::new().unwrap(), runtime: None, shared, ended };
        hooks.start_again().await;
        hooks
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("s")
    }

    pub(crate) fn address(&self) -> String {
        format!("unix:{}", self.socket().display())
    }

    pub(crate) async fn start_again(&mut self) {
        self.shared.starts.fetch_add(1, Ordering::SeqCst);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        self.serve(&runtime).await;
        self.runtime = Some(runtime);
    }

    async fn serve(&self, runtime: &Runtime) {
        let (socket, shared, instance) = (self.socket(), Arc::clone(&self.shared), self.instance());
        let _gone = std::fs::remove_file(&socket);
        let winding_up = CancellationToken::new();
        *shared.winding_up.lock().unwrap() = winding_up.clone();
        let listening = runtime.spawn(async move { UnixListener::bind(&socket).unwrap() }).await.unwrap();
        let resets = Arc::clone(&shared);
        let resetting = MapResultLayer::new(move |answer: Result<http::Response<Body>, Infallible>| {
            if resets.resets.load(Ordering::SeqCst) {
                Err(BoxError::from("a reset"))
            } else {
                answer.map_err(BoxError::from)
            }
        });
        runtime.spawn(
            Server::builder()
                .layer(resetting)
                .add_service(HookServiceServer::new(Started { shared, instance }))
                .serve_with_incoming_shutdown(
                    UnixListenerStream::new(listening),
                    winding_up.cancelled_owned(),
                ),
        );
    }

    /// Winds up the connections that there are, as servers do with old ones, and listens on: it is the same start.
    pub(crate) async fn wind_up_connections(&self) {
        let before = self.shared.winding_up.lock().unwrap().clone();
        self.serve(self.runtime.as_ref().unwrap()).await;
        before.cancel();
    }

    /// Kills it, with every connection.
    pub(crate) async fn stop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            let killed = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(PATIENCE));
            killed.await.unwrap();
        }
    }

    /// What it says which start of it this is.
    pub(crate) fn instance(&self) -> String {
        format!("start {}", self.shared.starts.load(Ordering::SeqCst) - 1)
    }

    pub(crate) async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    pub(crate) fn behave(&self, behavior: Behavior) {
        *self.shared.behavior.lock().unwrap() = behavior;
    }

    /// Whether it takes back every stream from now on.
    pub(crate) fn reset_streams(&self, resets: bool) {
        self.shared.resets.store(resets, Ordering::SeqCst);
    }

    /// What it says of itself from its next start on. Without an instance it names the start.
    pub(crate) fn describe_as(&self, description: wire::DescribeResponse) {
        *self.shared.description.lock().unwrap() = Some(description);
    }

    /// How often a node asked what it is: once per connection.
    pub(crate) fn described(&self) -> usize {
        self.shared.described.load(Ordering::SeqCst)
    }

    /// Does not answer the next question of this phase before it is released.
    pub(crate) fn hold(&self, phase: Phase) {
        *self.shared.hold.lock().unwrap() = Some(phase);
    }

    pub(crate) async fn held(&self) {
        self.shared.held.notified().await;
    }

    pub(crate) fn release(&self) {
        self.shared.released.notify_one();
    }

    pub(crate) fn asked(&self) -> Vec<(&'static str, wire::Call)> {
        self.shared.asked.lock().unwrap().clone()
    }

    pub(crate) fn count(&self, phase: &str) -> usize {
        self.asked().iter().filter(|(asked, _)| *asked == phase).count()
    }

    pub(crate) async fn asked_more(&self, times: usize) {
        let mut count = self.shared.count.subscribe();
        let wanted = *count.borrow_and_update() + times;
        count.wait_for(|count| *count >= wanted).await.unwrap();
    }

    pub(crate) async fn asked_until(&self, phase: &str, times: usize) {
        let mut count = self.shared.count.subscribe();
        count.wait_for(|_| self.count(phase) >= times).await.unwrap();
    }

    pub(crate) async fn next_end(&mut self) -> String {
        tokio::time::timeout(PATIENCE, self.ended.recv()).await.unwrap().unwrap()
    }
}

impl Drop for FakeHooks {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Started {
    async fn begin(&self, phase: Phase, call: Option<wire::Call>) -> Result<(Behavior, wire::Call), Status> {
        let call = call.unwrap();
        if call.instance != self.instance {
            return Err(Status::failed_precondition("another start"));
        }
        let Shared { behavior, hold, held, asked, count, .. } = &*self.shared;
        asked.lock().unwrap().push((phase.word(), call.clone()));
        count.send_modify(|count| *count += 1);
        let holds = hold.lock().unwrap().take_if(|on| *on == phase).is_some();
        if holds {
            held.notify_one();
            self.shared.released.notified().await;
        }
        let behavior = *behavior.lock().unwrap();
        match behavior {
            Behavior::Hang => std::future::pending().await,
            Behavior::Fail => Err(Status::unknown("secret words")),
            Behavior::Misses if phase == Phase::BeforeExecute => Err(Status::unknown("no")),
            Behavior::Misses | Behavior::Forgets
                if matches!(phase, Phase::TransformResult | Phase::AfterExecute) =>
            {
                Err(Status::failed_precondition("no such call"))
            }
            _ => Ok((behavior, call)),
        }
    }
}

fn user(call: &wire::Call) -> String {
    let header = call.headers.iter().find(|header| header.name == "x-user");
    header.map_or_else(String::new, |header| header.value.clone())
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl HookService for Started {
    async fn describe(&self, _: Request<wire::DescribeRequest>) -> Answer<wire::DescribeResponse> {
        self.shared.described.fetch_add(1, Ordering::SeqCst);
        let usual = || wire::DescribeResponse {
            name: "fake".to_owned(),
            instance: String::new(),
            phases: super::phase_numbers(),
            wants_end_call: true,
            headers: vec!["x-*".to_owned()],
        };
        let mut description = self.shared.description.lock().unwrap().clone().unwrap_or_else(usual);
        if description.instance.is_empty() {
            description.instance.clone_from(&self.instance);
        }
        Ok(Response::new(description))
    }

    async fn authenticate(
        &self,
        request: Request<wire::AuthenticateRequest>,
    ) -> Answer<wire::AuthenticateResponse> {
        let (_, call) = self.begin(Phase::Authenticate, request.into_inner().call).await?;
        assert!(call.headers.iter().all(|header| header.name.starts_with("x-")), "what it did not ask for");
        let user = user(&call);
        let outcome = match user.as_str() {
            "" => None,
            "mallory" => {
                Some(Outcome::Denial(wire::Denial { message: "no".to_owned(), code: "quota".to_owned() }))
            }
            _ => Some(Outcome::Identity(wire::Identity {
                handle: format!("handle of {user}"),
                subject: user.clone(),
                visibility_key: if user.starts_with("key:") { user } else { String::new() },
            })),
        };
        Ok(Response::new(wire::AuthenticateResponse { outcome }))
    }

    async fn filter_tools(
        &self,
        request: Request<wire::FilterToolsRequest>,
    ) -> Answer<wire::FilterToolsResponse> {
        let wire::FilterToolsRequest { call, tools, domain: _ } = request.into_inner();
        let (behavior, _) = self.begin(Phase::FilterTools, call).await?;
        let mut visible: Vec<u32> = (0..).take(tools.len()).collect();
        if behavior == Behavior::UnknownPosition {
            visible.push(99);
        }
        if behavior == Behavior::Repeats {
            visible = vec![0; tools.len() + 1];
        }
        let keep_for = Some(prost_types::Duration { seconds: 60, nanos: 0 });
        Ok(Response::new(wire::FilterToolsResponse { visible, keep_for }))
    }

    async fn authorize_code(
        &self,
        _: Request<wire::AuthorizeCodeRequest>,
    ) -> Answer<wire::AuthorizeCodeResponse> {
        Ok(Response::new(wire::AuthorizeCodeResponse { is_allowed: true }))
    }

    async fn before_execute(
        &self,
        request: Request<wire::BeforeExecuteRequest>,
    ) -> Answer<wire::BeforeExecuteResponse> {
        let request = request.into_inner();
        let (behavior, call) = self.begin(Phase::BeforeExecute, request.call).await?;
        let header =
            |name: &str, value: &str| wire::Header { name: name.to_owned(), value: value.to_owned() };
        let mut answer = wire::BeforeExecuteResponse {
            arguments: Some(r#"{"n":1e400}"#.to_owned()),
            extra_headers: vec![header("X-By", &user(&call))],
            ..wire::BeforeExecuteResponse::default()
        };
        match behavior {
            Behavior::NoJson => answer.arguments = Some("{".to_owned()),
            Behavior::TooMuch => answer.arguments = Some(format!("{{{}}}", " ".repeat(5 << 20))),
            Behavior::NoObject => answer.arguments = Some("[1]".to_owned()),
            Behavior::ForbiddenHeader => answer.extra_headers.push(header("host", "elsewhere")),
            Behavior::BrokenHeader => answer.extra_headers.push(header("x y", "z")),
            Behavior::OddCode => {
                answer.denial = Some(wire::Denial { message: String::new(), code: "an odd code".to_owned() });
            }
            _ => {}
        }
        Ok(Response::new(answer))
    }

    async fn transform_result(
        &self,
        request: Request<wire::TransformResultRequest>,
    ) -> Answer<wire::TransformResultResponse> {
        self.begin(Phase::TransformResult, request.into_inner().call).await?;
        Ok(Response::new(wire::TransformResultResponse::default()))
    }

    async fn after_execute(
        &self,
        request: Request<wire::AfterExecuteRequest>,
    ) -> Answer<wire::AfterExecuteResponse> {
        let request = request.into_inner();
        let (behavior, call) = self.begin(Phase::AfterExecute, request.call).await?;
        let by = call.identity.map(|identity| identity.subject).unwrap_or_default();
        let text = match behavior {
            Behavior::TooLarge => "x".repeat(33 << 20),
            _ => request.text.replacen('{', &format!(r#"{{"by": "{by}", "#), 1),
        };
        Ok(Response::new(wire::AfterExecuteResponse { denial: None, text: Some(text) }))
    }

    async fn report_error(
        &self,
        request: Request<wire::ReportErrorRequest>,
    ) -> Answer<wire::ReportErrorResponse> {
        self.begin(Phase::ReportError, request.into_inner().call).await?;
        Ok(Response::new(wire::ReportErrorResponse {}))
    }

    async fn end_call(&self, request: Request<wire::EndCallRequest>) -> Answer<wire::EndCallResponse> {
        self.shared.ended.send(request.into_inner().call_id).unwrap();
        Ok(Response::new(wire::EndCallResponse {}))
    }
}
