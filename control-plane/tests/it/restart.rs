use toolplane_control_plane::environment::Environment;
use toolplane_proto::admin;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_registry::upstream::{Header, Upstream};
use toolplane_registry::{Domain, Secret};
use toolplane_testkit::fake_upstream::FakeUpstream;

use crate::harness::Plane;
use crate::stream::Follower;

fn declare(domain: &str, url: &str) -> Environment {
    Environment {
        upstreams: vec![Upstream::new(Domain::parse(domain).unwrap(), url)],
        ..Environment::default()
    }
}

fn header(name: &str, value: &str) -> Header {
    Header { name: name.into(), value: Secret::new(value.into()) }
}

async fn domains(plane: &Plane) -> Vec<(String, admin::Owner)> {
    let list = plane.upstreams().list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap();
    list.into_inner().upstreams.into_iter().map(|shown| (shown.domain.clone(), shown.owner())).collect()
}

#[tokio::test]
async fn upstreams_of_the_api_persist_beside_those_of_the_environment() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let url = upstream.url();
    let plane = Plane::start_with(|options| options.environment = declare("old", &url)).await;
    plane.create("api", &url).await;
    let admin = plane.secret("admin.token");
    let plane = plane.restart_with(|options| options.environment = declare("new", &url)).await;
    let expected = [("api".to_owned(), admin::Owner::Api), ("new".to_owned(), admin::Owner::Environment)];
    assert_eq!(domains(&plane).await, expected);
    assert_eq!(plane.secret("admin.token"), admin, "the bootstrap token stays");
}

#[tokio::test]
async fn an_environment_upstream_removed_by_the_api_comes_back_with_the_next_start() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let url = upstream.url();
    let declared =
        |options: &mut toolplane_control_plane::Options| options.environment = declare("env", &url);
    let plane = Plane::start_with(declared).await;
    let delete = admin::DeleteUpstreamRequest { domain: "env".into(), etag: String::new() };
    plane.upstreams().delete_upstream(delete).await.unwrap();
    assert!(domains(&plane).await.is_empty());
    let plane = plane.restart_with(declared).await;
    assert_eq!(domains(&plane).await, [("env".to_owned(), admin::Owner::Environment)]);
}

#[tokio::test]
async fn a_credential_rotated_in_the_environment_reaches_nodes_under_a_new_version() {
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let url = upstream.url();
    let with = |value: &str| Environment {
        headers: [("env".to_owned(), vec![header("authorization", value)])].into(),
        ..declare("env", &url)
    };
    let plane = Plane::start_with(|options| options.environment = with("Bearer old")).await;
    let mut node = Follower::open(&plane, "n1").await;
    let old = node.until(|update| !update.changed.is_empty() && !update.changed[0].pending).await;
    drop(node);
    let plane = plane.restart_with(|options| options.environment = with("Bearer new")).await;
    let mut node = Follower::open(&plane, "n1").await;
    let new = node.next().await;
    let endpoint = |update: &toolplane_proto::sync::Update| update.changed[0].endpoint.clone().unwrap();
    assert_eq!(endpoint(&new).headers[0].value, "Bearer new");
    assert_ne!(endpoint(&new).config_id, endpoint(&old).config_id);
    assert!(new.version.unwrap().number > old.version.unwrap().number);
}

#[tokio::test]
async fn a_lost_token_file_locks_nobody_out_and_revokes_what_was_lost() {
    let plane = Plane::start().await;
    let (admin, node) = (plane.secret("admin.token"), plane.secret("node.token"));
    std::fs::remove_file(plane.path("admin.token")).unwrap();
    std::fs::remove_file(plane.path("node.token")).unwrap();
    let plane = plane.restart_with(|_| {}).await;
    assert!(domains(&plane).await.is_empty(), "the new admin token works");
    for lost in [admin, node] {
        let mut client = UpstreamServiceClient::new(plane.bearer(&lost));
        let refused = client.list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::Unauthenticated);
    }
}

#[cfg(unix)]
#[tokio::test]
async fn tokens_and_keys_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let plane = Plane::start().await;
    for file in ["admin.token", "node.token", "secret.key", "db.sqlite"] {
        let mode = std::fs::metadata(plane.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
}
