use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use toolplane_control_plane::environment::Environment;
use toolplane_proto::admin::audit_service_client::AuditServiceClient;
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::sync::registration_service_client::RegistrationServiceClient;
use toolplane_proto::{admin, sync};
use toolplane_registry::upstream::SchemaPolicy;
use toolplane_testkit::fake_upstream::FakeUpstream;

use crate::harness::{Plane, SHARED_TOKEN, creation};

fn bearer() -> String {
    format!("Bearer {SHARED_TOKEN}")
}

pub(crate) fn request(domain: &str, url: &str) -> sync::RegisterServerRequest {
    sync::RegisterServerRequest {
        credential: bearer(),
        domain: domain.into(),
        url: url.into(),
        ..Default::default()
    }
}

async fn register(plane: &Plane, domain: &str, url: &str) -> Result<sync::RegisterServerResponse, Status> {
    Ok(plane.registration().register_server(request(domain, url)).await?.into_inner())
}

fn reason(status: &Status) -> String {
    status.get_details_error_info().map(|info| info.reason).unwrap_or_default()
}

#[tokio::test]
async fn a_registration_answers_with_what_it_added_and_removal_with_what_went() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("b").tool("a").start().await;
    let first = register(&plane, "apollo", &upstream.url()).await.unwrap();
    assert_eq!((first.tools_discovered, first.tools_added), (2, vec!["a".to_owned(), "b".to_owned()]));
    let again = register(&plane, "apollo", &upstream.url()).await.unwrap();
    assert_eq!((again.tools_discovered, again.tools_added.len()), (2, 0));
    let removal = sync::DeregisterServerRequest { credential: bearer(), domain: "apollo".into() };
    let removed = plane.registration().deregister_server(removal.clone()).await.unwrap().into_inner();
    assert_eq!(removed.tools_removed, ["a", "b"]);
    let gone = plane.registration().deregister_server(removal).await.unwrap_err();
    assert_eq!(reason(&gone), "not_found");
}

#[tokio::test]
async fn a_registration_that_changes_nothing_is_on_record_and_makes_no_version() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let mut wanted = request("apollo", &upstream.url());
    wanted.description = Some("a CRM".into());
    wanted.headers.insert("X-Key".into(), "k".into());
    let version = async |request: sync::RegisterServerRequest| {
        plane.registration().register_server(request).await.unwrap().into_inner().version.unwrap().number
    };
    let first = version(wanted.clone()).await;
    let etag = plane.get("apollo").await.unwrap().etag;
    assert_eq!(version(wanted.clone()).await, first);
    assert_eq!(plane.get("apollo").await.unwrap().etag, etag);
    let records = AuditServiceClient::new(plane.as_admin())
        .list_audit_records(admin::ListAuditRecordsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .records;
    let told: Vec<_> = records
        .iter()
        .filter(|record| record.action == "upstream.register")
        .map(|record| record.detail.as_str())
        .collect();
    assert_eq!(told, ["nothing changed", ""]);

    let mut second_key = wanted.clone();
    second_key.headers.insert("X-Key".into(), "other".into());
    assert_eq!(version(second_key.clone()).await, first + 1, "another value of a header is a change");
    upstream.rename_tools(&["b"]);
    assert_eq!(version(second_key.clone()).await, first + 2, "other tools are a change");
    second_key.description = Some("another CRM".into());
    assert_eq!(version(second_key).await, first + 3, "another description is a change");
}

#[tokio::test]
async fn credentials_in_an_address_are_never_kept() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let url = upstream.url().replace("http://", "http://user:s3cr3t@");
    let refused = register(&plane, "apollo", &url).await.unwrap_err();
    assert_eq!(reason(&refused), "bad_request");
    assert!(refused.message().contains("header") && !refused.message().contains("s3cr3t"), "{refused}");
    let refused = plane.upstreams().create_upstream(creation("apollo", &url)).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().contains("header") && !refused.message().contains("s3cr3t"), "{refused}");
    assert_eq!(plane.get("apollo").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn credentials_are_verified_by_the_control_plane() {
    let plane = Plane::start().await;
    for credential in ["", "Bearer wrong", SHARED_TOKEN, &format!("bearer {SHARED_TOKEN}")] {
        let check = sync::CheckCredentialRequest { credential: credential.to_owned() };
        let refused = plane.registration().check_credential(check).await.unwrap_err();
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "unauthorized"));
    }
    let check = sync::CheckCredentialRequest { credential: bearer() };
    plane.registration().check_credential(check).await.unwrap();
    let api = plane.token(admin::Role::Registrar).await;
    let check = sync::CheckCredentialRequest { credential: format!("Bearer {api}") };
    plane.registration().check_credential(check).await.unwrap();
}

#[tokio::test]
async fn failures_carry_the_code_of_the_rest_answer_and_change_nothing() {
    let plane = Plane::start().await;
    let protected = FakeUpstream::builder().tool("x").token("t").start().await;
    let mut header = request("x", "http://127.0.0.1:9/mcp");
    header.headers.insert("Host".into(), "evil".into());
    for (request, code) in [
        (request("x", "http://169.254.169.254/"), "ssrf_rejected"),
        (request("x", "ftp://127.0.0.1/"), "ssrf_rejected"),
        (request(" ", "http://127.0.0.1:9/"), "bad_request"),
        (header, "header_injection_rejected"),
        (request("x", &protected.url()), "upstream_auth_failed"),
        (request("x", "http://user:pw@127.0.0.1:9/mcp?key=s3cr3t"), "upstream_not_ready"),
    ] {
        let refused = plane.registration().register_server(request).await.unwrap_err();
        assert_eq!(reason(&refused), code, "{refused}");
        assert!(!refused.message().contains("s3cr3t") && !refused.message().contains("pw@"), "{refused}");
    }
    let list = sync::ListServersRequest { credential: bearer() };
    assert!(plane.registration().list_servers(list).await.unwrap().into_inner().servers.is_empty());
}

#[tokio::test]
async fn a_failed_registration_keeps_what_was_there() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    register(&plane, "apollo", &upstream.url()).await.unwrap();
    let refused = register(&plane, "apollo", "http://127.0.0.1:9/mcp").await.unwrap_err();
    let retry = refused.get_details_retry_info().and_then(|info| info.retry_delay).unwrap();
    assert_eq!((reason(&refused).as_str(), retry.as_secs()), ("upstream_not_ready", 5));
    assert_eq!(plane.get("apollo").await.unwrap().url, upstream.url());
}

#[tokio::test]
async fn registered_headers_are_used_and_do_not_follow_to_another_address() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let mut with_header = request("apollo", &upstream.url());
    with_header.headers.insert("X-Key".into(), "k".into());
    plane.registration().register_server(with_header).await.unwrap();
    assert_eq!(upstream.requests()[0].header("x-key"), Some("k"));
    let elsewhere = FakeUpstream::builder().tool("a").start().await;
    register(&plane, "apollo", &elsewhere.url()).await.unwrap();
    assert!(elsewhere.requests().iter().all(|request| request.header("x-key").is_none()));
}

#[tokio::test]
async fn a_pinned_upstream_keeps_its_approved_tools_until_the_digest_is_accepted() {
    let plane = Plane::start_with(|options| options.ingest.default_schema_policy = SchemaPolicy::Pin).await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    register(&plane, "apollo", &upstream.url()).await.unwrap();
    upstream.rename_tools(&["a", "b"]);
    let refreshed = plane.registration().refresh_registry(sync::RefreshRegistryRequest {}).await.unwrap();
    assert_eq!(refreshed.into_inner().errors, []);
    let listing = plane.get("apollo").await.unwrap().listing.unwrap();
    assert_eq!((listing.tools_listed, listing.tools_admitted), (2, 1));
    let refused = register(&plane, "apollo", &upstream.url()).await.unwrap_err();
    assert_eq!(reason(&refused), "schema_refused");

    let accept = |digest: &str| sync::RefreshServerRequest {
        credential: bearer(),
        domain: "apollo".into(),
        expected_digest: Some(digest.into()),
    };
    let mismatch = plane.registration().refresh_server(accept(&"0".repeat(64))).await.unwrap_err();
    let info = mismatch.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.metadata["expected"].as_str()), ("conflict", "00000000..."));
    let accepted = plane.registration().refresh_server(accept(&listing.digest)).await.unwrap().into_inner();
    assert_eq!(
        (accepted.added, accepted.tool_count, accepted.digest_changed),
        (vec!["b".to_owned()], 2, true)
    );
}

#[tokio::test]
async fn descriptions_of_the_environment_win() {
    let environment = Environment {
        descriptions: [("apollo".to_owned(), "from the environment".to_owned())].into(),
        ..Environment::default()
    };
    let plane = Plane::start_with(|options| options.environment = environment.clone()).await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let mut with_words = request("apollo", &upstream.url());
    with_words.description = Some("mine".into());
    plane.registration().register_server(with_words).await.unwrap();
    let list = sync::ListServersRequest { credential: bearer() };
    let servers = plane.registration().list_servers(list).await.unwrap().into_inner().servers;
    assert_eq!(servers[0].description, "from the environment");
}

#[tokio::test]
async fn racing_registrations_of_one_domain_all_succeed() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    let url = upstream.url();
    let results = futures::future::join_all((0..8).map(|_| register(&plane, "apollo", &url))).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    let added = results.iter().filter(|result| !result.as_ref().unwrap().tools_added.is_empty()).count();
    assert_eq!((added, plane.get("apollo").await.unwrap().url), (1, url));
}

#[tokio::test]
async fn a_held_back_tool_that_goes_again_leaves_no_rejection() {
    let plane = Plane::start_with(|options| options.ingest.default_schema_policy = SchemaPolicy::Pin).await;
    let upstream = FakeUpstream::builder().tool("a").start().await;
    register(&plane, "apollo", &upstream.url()).await.unwrap();
    let refused = async || {
        plane.registration().refresh_registry(sync::RefreshRegistryRequest {}).await.unwrap();
        let mut tools = admin::tool_service_client::ToolServiceClient::new(plane.as_admin());
        let request = admin::ListToolsRequest { show_refused: true, ..Default::default() };
        let tools = tools.list_tools(request).await.unwrap().into_inner().tools;
        tools.iter().filter(|tool| tool.rejection.is_some()).count()
    };
    upstream.rename_tools(&["a", "b"]);
    assert_eq!(refused().await, 1);
    upstream.rename_tools(&["a"]);
    assert_eq!(refused().await, 0);
}

#[tokio::test]
async fn a_node_whose_token_does_not_let_it_register_is_refused_and_may_still_refresh() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("x").start().await;
    let bare = plane.token(admin::Role::Node).await;
    let mut node = RegistrationServiceClient::new(plane.bearer(&bare));
    let refused = node.register_server(request("apollo", &upstream.url())).await.unwrap_err();
    assert_eq!((refused.code(), reason(&refused).as_str()), (Code::PermissionDenied, "forbidden"));
    let check = sync::CheckCredentialRequest { credential: bearer() };
    assert_eq!(reason(&node.check_credential(check).await.unwrap_err()), "forbidden");
    node.refresh_registry(sync::RefreshRegistryRequest {}).await.unwrap();

    let mut tokens = TokenServiceClient::new(plane.as_admin());
    let capable = admin::CreateTokenRequest {
        role: admin::Role::Node.into(),
        allow_registration: true,
        ..Default::default()
    };
    let made = tokens.create_token(capable.clone()).await.unwrap().into_inner();
    assert!(made.token.unwrap().allow_registration);
    let mut node = RegistrationServiceClient::new(plane.bearer(&made.secret));
    node.register_server(request("apollo", &upstream.url())).await.unwrap();
    let viewer = admin::CreateTokenRequest { role: admin::Role::Viewer.into(), ..capable };
    assert_eq!(tokens.create_token(viewer).await.unwrap_err().code(), Code::InvalidArgument);
}
