//! A control plane on a port of its own, and clients with whatever token a test wants to try.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr as _;

use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};
use toolplane_control_plane::registration::credential::Verification;
use toolplane_control_plane::{Listener, Options, Service};
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_proto::admin::{self, Role};
use toolplane_proto::sync::registration_service_client::RegistrationServiceClient;
use toolplane_registry::Secret;

pub(crate) const SHARED_TOKEN: &str = "a-registration-token-of-some-length-0123";

/// Adds a bearer token to every request.
#[derive(Clone)]
pub(crate) struct Bearer(String);

pub(crate) type Client = InterceptedService<Channel, Bearer>;

pub(crate) struct Plane {
    folder: TempDir,
    pub(crate) address: SocketAddr,
    pub(crate) channel: Channel,
    running: Option<(CancellationToken, JoinHandle<()>)>,
    /// Where it runs, when that is not the test's own runtime.
    runtime: Option<Apart>,
}

/// A runtime that ends without waiting for its tasks.
struct Apart(Option<Runtime>);

impl Interceptor for Bearer {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let value = MetadataValue::from_str(&format!("Bearer {}", self.0)).unwrap();
        request.metadata_mut().insert("authorization", value);
        Ok(request)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Plane {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl Fn(&mut Options)) -> Self {
        Self::start_in(TempDir::new().unwrap(), change).await
    }

    async fn start_in(folder: TempDir, change: impl Fn(&mut Options)) -> Self {
        let mut options =
            Options::new(format!("sqlite:{}", folder.path().join("db.sqlite").display()), folder.path());
        options.node_token_file = Some(folder.path().join("node.token"));
        options.registration = Verification::Token(Secret::new(SHARED_TOKEN.to_owned()));
        change(&mut options);
        let service = Service::start(options).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let stop = shutdown.clone();
        #[expect(clippy::disallowed_methods, reason = "the test owns the task")]
        let task = tokio::spawn(async move {
            service.run(vec![Listener::Tcp(listener)], stop).await.unwrap();
        });
        let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect_lazy();
        Self { folder, address, channel, running: Some((shutdown, task)), runtime: None }
    }

    /// Starts one on a runtime of its own, so that it can be killed.
    pub(crate) async fn start_apart(change: impl Fn(&mut Options) + Send + 'static) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut plane = runtime.spawn(Self::start_with(change)).await.unwrap();
        plane.runtime = Some(Apart(Some(runtime)));
        plane
    }

    /// Ends everything it does between one step and the next, and closes its connections: what SIGKILL does.
    pub(crate) fn kill(&mut self) {
        drop(self.runtime.take());
    }

    /// Stops it and starts it again on the same data.
    pub(crate) async fn restart_with(mut self, change: impl Fn(&mut Options)) -> Self {
        let (shutdown, task) = self.running.take().unwrap();
        shutdown.cancel();
        task.await.unwrap();
        Self::start_in(self.folder, change).await
    }

    /// Runs a statement behind its back.
    pub(crate) async fn raw(&self, sql: &'static str) {
        use sqlx::Connection as _;
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(self.path("db.sqlite"));
        let mut connection = sqlx::SqliteConnection::connect_with(&options).await.unwrap();
        sqlx::query(sql).execute(&mut connection).await.unwrap();
        connection.close().await.unwrap();
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn secret(&self, file: &str) -> String {
        std::fs::read_to_string(self.path(file)).unwrap().trim().to_owned()
    }

    pub(crate) fn bearer(&self, secret: &str) -> Client {
        InterceptedService::new(self.channel.clone(), Bearer(secret.to_owned()))
    }

    pub(crate) fn as_admin(&self) -> Client {
        self.bearer(&self.secret("admin.token"))
    }

    pub(crate) fn as_node(&self) -> Client {
        self.bearer(&self.secret("node.token"))
    }

    pub(crate) fn upstreams(&self) -> UpstreamServiceClient<Client> {
        UpstreamServiceClient::new(self.as_admin())
    }

    pub(crate) fn registration(&self) -> RegistrationServiceClient<Client> {
        RegistrationServiceClient::new(self.as_node())
    }

    pub(crate) async fn token(&self, role: Role) -> String {
        let request = admin::CreateTokenRequest { role: role.into(), ..Default::default() };
        let mut tokens = TokenServiceClient::new(self.as_admin());
        tokens.create_token(request).await.unwrap().into_inner().secret
    }

    pub(crate) async fn create(&self, domain: &str, url: &str) -> admin::CreateUpstreamResponse {
        self.upstreams().create_upstream(creation(domain, url)).await.unwrap().into_inner()
    }

    pub(crate) async fn get(&self, domain: &str) -> Result<admin::Upstream, Status> {
        let request = admin::GetUpstreamRequest { domain: domain.to_owned() };
        Ok(self.upstreams().get_upstream(request).await?.into_inner())
    }
}

pub(crate) fn creation(domain: &str, url: &str) -> admin::CreateUpstreamRequest {
    admin::CreateUpstreamRequest {
        upstream: Some(admin::Upstream {
            domain: domain.to_owned(),
            url: url.to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
