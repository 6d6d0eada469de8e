use prost_types::FieldMask;
use tonic::Code;
use toolplane_proto::admin::audit_service_client::AuditServiceClient;
use toolplane_proto::admin::policy_service_client::PolicyServiceClient;
use toolplane_proto::admin::token_service_client::TokenServiceClient;
use toolplane_proto::admin::tool_service_client::ToolServiceClient;
use toolplane_proto::admin::upstream_service_client::UpstreamServiceClient;
use toolplane_proto::admin::{self, Role};
use toolplane_proto::sync;
use toolplane_testkit::fake_upstream::{Era, FakeUpstream};

use crate::harness::{Plane, creation};

#[tokio::test]
async fn without_a_token_nothing_answers_but_health() {
    let plane = Plane::start().await;
    let mut bare = UpstreamServiceClient::new(plane.channel.clone());
    let refused = bare.list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut wrong = UpstreamServiceClient::new(plane.bearer("tp_wrong"));
    let refused = wrong.list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut health = tonic_health::pb::health_client::HealthClient::new(plane.channel.clone());
    let answer = health.check(tonic_health::pb::HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status, 1);
}

#[tokio::test]
async fn reflection_lists_the_services_for_whoever_may_read() {
    use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
    use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
    let plane = Plane::start().await;
    let viewer = plane.token(Role::Viewer).await;
    let ask = tonic_reflection::pb::v1::ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = ServerReflectionClient::new(plane.bearer(&viewer));
    let mut answers = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
    let answer = format!("{:?}", answers.message().await.unwrap().unwrap());
    assert!(answer.contains("toolplane.admin.v1.UpstreamService"), "{answer}");
}

#[tokio::test]
async fn what_an_upstream_was_found_to_speak_is_shown() {
    let plane = Plane::start().await;
    let speaks = |era: sync::Era, version: &str, issues_sessions| {
        Some(sync::Protocol { era: era.into(), version: version.to_owned(), issues_sessions })
    };
    for (domain, builder, expected) in [
        (
            "new",
            FakeUpstream::builder().era(Era::Stateless),
            speaks(sync::Era::Stateless, "2026-07-28", false),
        ),
        ("old", FakeUpstream::builder(), speaks(sync::Era::Handshake, "2025-11-25", true)),
        ("bare", FakeUpstream::builder().stateless(), speaks(sync::Era::Handshake, "2025-11-25", false)),
    ] {
        let upstream = builder.tool("search").start().await;
        let created = plane.create(domain, &upstream.url()).await.upstream.unwrap();
        assert_eq!(created.listing.unwrap().protocol, expected, "{domain}");
        assert_eq!(plane.get(domain).await.unwrap().listing.unwrap().protocol, expected, "{domain}");
    }
}

#[tokio::test]
async fn roles_end_where_the_table_says() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    for (role, may_read, may_write) in
        [(Role::Viewer, true, false), (Role::Registrar, true, true), (Role::Node, false, false)]
    {
        let token = plane.token(role).await;
        let mut client = UpstreamServiceClient::new(plane.bearer(&token));
        let read = client.list_upstreams(admin::ListUpstreamsRequest::default()).await;
        assert_eq!(read.is_ok(), may_read, "{role:?}");
        let domain = role.as_str_name().to_lowercase();
        let written = client.create_upstream(creation(&domain, &upstream.url())).await;
        assert_eq!(written.is_ok(), may_write, "{role:?}");
    }
}

#[tokio::test]
async fn a_revoked_token_stops_working_and_both_steps_are_audited() {
    let plane = Plane::start().await;
    let mut tokens = TokenServiceClient::new(plane.as_admin());
    let request = admin::CreateTokenRequest { role: Role::Viewer.into(), ..Default::default() };
    let made = tokens.create_token(request).await.unwrap().into_inner();
    let token_id = made.token.unwrap().token_id;
    let mut client = UpstreamServiceClient::new(plane.bearer(&made.secret));
    client.list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap();
    tokens.revoke_token(admin::RevokeTokenRequest { token_id: token_id.clone() }).await.unwrap();
    let refused = client.list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);
    let mut audit = AuditServiceClient::new(plane.as_admin());
    let records = audit
        .list_audit_records(admin::ListAuditRecordsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .records;
    let of_token: Vec<_> = records
        .iter()
        .filter(|record| record.subject == format!("token {token_id}"))
        .map(|record| record.action.as_str())
        .collect();
    assert_eq!(of_token, ["token.revoke", "token.create"]);
}

#[tokio::test]
async fn an_upstream_lives_from_creation_to_deletion() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").tool("fetch").start().await;
    let mut request = creation("apollo", &upstream.url());
    let message = request.upstream.as_mut().unwrap();
    message.headers.insert("X-Api-Key".to_owned(), "s3cr3t".to_owned());
    let created = plane.upstreams().create_upstream(request).await.unwrap().into_inner();
    assert_eq!(created.tools_added, ["fetch", "search"]);
    assert_eq!(upstream.requests()[0].header("x-api-key"), Some("s3cr3t"));
    let shown = created.upstream.unwrap();
    assert!(shown.headers.is_empty() && shown.header_names == ["x-api-key"]);
    assert_eq!(shown.listing.as_ref().unwrap().tools_admitted, 2);

    let twice = plane.upstreams().create_upstream(creation("apollo", &upstream.url())).await.unwrap_err();
    assert_eq!(twice.code(), Code::AlreadyExists);

    let update = |etag: &str| admin::UpdateUpstreamRequest {
        upstream: Some(admin::Upstream {
            domain: "apollo".into(),
            description: "a CRM".into(),
            etag: etag.into(),
            ..Default::default()
        }),
        update_mask: Some(FieldMask { paths: vec!["description".into()] }),
        ..Default::default()
    };
    let updated = plane.upstreams().update_upstream(update(&shown.etag)).await.unwrap().into_inner();
    let updated = updated.upstream.unwrap();
    assert_eq!((updated.description.as_str(), updated.header_names.len()), ("a CRM", 1));
    let stale = plane.upstreams().update_upstream(update(&shown.etag)).await.unwrap_err();
    assert_eq!(stale.code(), Code::Aborted);
    assert!(stale.message().contains(&updated.etag) && stale.message().contains(&shown.etag), "{stale}");

    let delete = admin::DeleteUpstreamRequest { domain: "apollo".into(), etag: String::new() };
    let deleted = plane.upstreams().delete_upstream(delete).await.unwrap().into_inner();
    assert_eq!(deleted.tools_removed, ["fetch", "search"]);
    assert_eq!(plane.get("apollo").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn headers_never_follow_to_another_address() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let mut request = creation("apollo", &upstream.url());
    request.upstream.as_mut().unwrap().headers.insert("authorization".into(), "Bearer s3cr3t".into());
    plane.upstreams().create_upstream(request).await.unwrap();
    let elsewhere = FakeUpstream::builder().tool("search").start().await;
    let update = async |paths: &[&str], discovery_url: String| {
        let update = admin::UpdateUpstreamRequest {
            upstream: Some(admin::Upstream {
                domain: "apollo".into(),
                url: elsewhere.url(),
                discovery_url,
                ..Default::default()
            }),
            update_mask: Some(FieldMask { paths: paths.iter().map(|path| (*path).to_owned()).collect() }),
            ..Default::default()
        };
        plane.upstreams().update_upstream(update).await
    };
    for path in ["url", "discovery_url"] {
        let refused = update(&[path], elsewhere.url()).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{path}");
        assert!(refused.message().contains(&format!("a new {path}")), "{refused}");
    }
    assert!(elsewhere.requests().is_empty());
    update(&["discovery_url"], String::new()).await.unwrap();
    update(&["discovery_url", "headers"], elsewhere.url()).await.unwrap();
    let asked = elsewhere.requests();
    assert!(!asked.is_empty() && asked.iter().all(|request| request.header("authorization").is_none()));
}

#[tokio::test]
async fn an_update_tells_which_fields_it_changes_also_of_secrets() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let mut request = creation("apollo", &upstream.url());
    request.upstream.as_mut().unwrap().headers.insert("X-Api-Key".to_owned(), "s3cr3t".to_owned());
    plane.upstreams().create_upstream(request).await.unwrap();
    let changed = async |key: &str, description: &str, validate_only: bool| {
        let message = admin::Upstream {
            domain: "apollo".into(),
            description: description.into(),
            headers: [("x-api-key".to_owned(), key.to_owned())].into(),
            ..Default::default()
        };
        let update = admin::UpdateUpstreamRequest {
            upstream: Some(message),
            update_mask: Some(FieldMask { paths: vec!["headers".into(), "description".into()] }),
            validate_only,
            ..Default::default()
        };
        let answer = plane.upstreams().update_upstream(update).await.unwrap().into_inner();
        answer.changed_fields.unwrap().paths
    };
    assert_eq!(changed("s3cr3t", "", true).await, Vec::<String>::new());
    assert_eq!(changed("other", "a CRM", true).await, ["description", "headers"]);
    assert_eq!(changed("other", "", false).await, ["headers"]);
    assert_eq!(changed("other", "", true).await, Vec::<String>::new(), "as it is held by now");
    let limits = sync::Limits { max_concurrency: Some(3), ..Default::default() };
    let message = admin::Upstream { domain: "apollo".into(), limits: Some(limits), ..Default::default() };
    let update = admin::UpdateUpstreamRequest {
        upstream: Some(message),
        update_mask: Some(FieldMask { paths: vec!["limits".into()] }),
        ..Default::default()
    };
    let answer = plane.upstreams().update_upstream(update).await.unwrap().into_inner();
    assert_eq!(answer.changed_fields.unwrap().paths, ["limits"]);
}

#[tokio::test]
async fn a_policy_of_too_many_domains_is_refused() {
    let plane = Plane::start().await;
    let deny = (0..=10_000).map(|n| (format!("d{n}"), admin::GlobList::default())).collect();
    let policy = admin::Policy { deny, ..Default::default() };
    let set = admin::SetPolicyRequest { policy: Some(policy), validate_only: true };
    let refused = PolicyServiceClient::new(plane.as_admin()).set_policy(set).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_refused_or_failed_creation_changes_nothing() {
    let plane = Plane::start().await;
    let silent = FakeUpstream::builder().token("other").start().await;
    let cases = [
        (creation("a", "http://169.254.169.254/latest"), Code::InvalidArgument),
        (creation(" ", "http://127.0.0.1:9/mcp"), Code::InvalidArgument),
        (creation("a", &silent.url()), Code::FailedPrecondition),
        (creation("a", "http://127.0.0.1:9/mcp"), Code::FailedPrecondition),
    ];
    for (request, code) in cases {
        let refused = plane.upstreams().create_upstream(request.clone()).await.unwrap_err();
        assert_eq!(refused.code(), code, "{request:?}: {refused}");
    }
    let list = plane.upstreams().list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap();
    assert!(list.into_inner().upstreams.is_empty());
}

#[tokio::test]
async fn an_unreachable_upstream_can_be_stored_on_demand_and_validation_stores_nothing() {
    let plane = Plane::start().await;
    let request = admin::CreateUpstreamRequest {
        allow_unreachable: true,
        ..creation("later", "http://127.0.0.1:9/mcp")
    };
    let stored = plane.upstreams().create_upstream(request).await.unwrap().into_inner().upstream.unwrap();
    assert!(stored.listing.unwrap().error.contains("connect"));
    let upstream = FakeUpstream::builder().tool("search").start().await;
    let request = admin::CreateUpstreamRequest { validate_only: true, ..creation("dry", &upstream.url()) };
    plane.upstreams().create_upstream(request).await.unwrap();
    assert_eq!(plane.get("dry").await.unwrap_err().code(), Code::NotFound);
}

#[tokio::test]
async fn a_policy_hides_tools_and_goes_again() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").tool("delete_all").start().await;
    plane.create("apollo", &upstream.url()).await;
    let mut policies = PolicyServiceClient::new(plane.as_admin());
    let mut policy = admin::Policy::default();
    policy.deny.insert("apollo".into(), admin::GlobList { globs: vec!["delete_*".into()] });
    let set = admin::SetPolicyRequest { policy: Some(policy), ..Default::default() };
    policies.set_policy(set).await.unwrap();
    let names = async || {
        let mut tools = ToolServiceClient::new(plane.as_admin());
        let list = tools.list_tools(admin::ListToolsRequest::default()).await.unwrap().into_inner();
        list.tools.into_iter().map(|tool| tool.name).collect::<Vec<_>>()
    };
    assert_eq!(names().await, ["search"]);
    policies.set_policy(admin::SetPolicyRequest::default()).await.unwrap();
    assert_eq!(names().await, ["delete_all", "search"]);
}

#[tokio::test]
async fn refused_tools_are_shown_with_their_reason_and_harm_no_sibling() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder()
        .tool("good")
        .tool_json(r#"{"name":"bad","inputSchema":{"$ref":"http://evil.example/schema"}}"#)
        .start()
        .await;
    plane.create("apollo", &upstream.url()).await;
    let mut tools = ToolServiceClient::new(plane.as_admin());
    let request = admin::ListToolsRequest { show_refused: true, ..Default::default() };
    let list = tools.list_tools(request).await.unwrap().into_inner().tools;
    assert_eq!(list[0].name, "good");
    let rejection = list[1].rejection.as_ref().unwrap();
    assert_eq!((rejection.rule.as_str(), rejection.subject.contains("`bad`")), ("schema", true));
}

#[tokio::test]
async fn changing_an_upstream_that_is_down_keeps_its_tools() {
    let plane = Plane::start().await;
    let upstream = FakeUpstream::builder().tool("search").start().await;
    plane.create("apollo", &upstream.url()).await;
    upstream.fault("tools/list", toolplane_testkit::fake_upstream::Fault::Status(500));
    let mut message = admin::Upstream { domain: "apollo".into(), ..Default::default() };
    message.headers.insert("x-key".into(), "new".into());
    let update = admin::UpdateUpstreamRequest {
        upstream: Some(message),
        update_mask: Some(FieldMask { paths: vec!["headers".into()] }),
        allow_unreachable: true,
        ..Default::default()
    };
    plane.upstreams().update_upstream(update).await.unwrap();
    let listing = plane.get("apollo").await.unwrap().listing.unwrap();
    assert_eq!((listing.tools_admitted, listing.error.is_empty()), (1, false));
}
