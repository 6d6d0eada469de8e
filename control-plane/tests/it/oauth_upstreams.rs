//! Upstreams that are listed with a token of their own, as operators see them.

use prost::Message as _;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use toolplane_proto::admin;
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::token_endpoint::{Answer, TokenEndpoint};

use crate::harness::{Plane, creation};
use crate::registration::request;

const SECRET: &str = "cl1ent-s3cr3t";

/// An upstream that wants a token, and where to get one.
struct Protected {
    endpoint: TokenEndpoint,
    upstream: FakeUpstream,
}

impl Protected {
    async fn start() -> Self {
        let endpoint = TokenEndpoint::start(SECRET).await;
        let upstream = FakeUpstream::builder().tool("search").stateless().token("token-1").start().await;
        Self { endpoint, upstream }
    }

    fn credentials(&self) -> admin::ClientCredentials {
        admin::ClientCredentials {
            token_url: self.endpoint.url(),
            client_id: "gateway".to_owned(),
            client_secret: SECRET.to_owned(),
            scope: "tools.read".to_owned(),
            ..admin::ClientCredentials::default()
        }
    }

    fn creation(&self, oauth: admin::ClientCredentials) -> admin::CreateUpstreamRequest {
        let mut request = creation("wiki", &self.upstream.url());
        request.upstream.as_mut().unwrap().oauth = Some(oauth);
        request
    }
}

async fn create(plane: &Plane, request: admin::CreateUpstreamRequest) -> Result<admin::Upstream, Status> {
    Ok(plane.upstreams().create_upstream(request).await?.into_inner().upstream.unwrap())
}

/// Changes one upstream; the fields that have other values by that.
async fn update(plane: &Plane, upstream: admin::Upstream, paths: &[&str]) -> Result<Vec<String>, Status> {
    let request = admin::UpdateUpstreamRequest {
        upstream: Some(admin::Upstream { domain: "wiki".to_owned(), ..upstream }),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        ..admin::UpdateUpstreamRequest::default()
    };
    Ok(plane.upstreams().update_upstream(request).await?.into_inner().changed_fields.unwrap().paths)
}

fn with(oauth: admin::ClientCredentials) -> admin::Upstream {
    admin::Upstream { oauth: Some(oauth), ..admin::Upstream::default() }
}

async fn refresh(plane: &Plane) -> String {
    let request = admin::RefreshUpstreamsRequest { domains: vec!["wiki".to_owned()] };
    plane.upstreams().refresh_upstreams(request).await.unwrap().into_inner().refreshed.remove(0).error
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

#[tokio::test]
async fn an_upstream_is_listed_with_a_token_whose_secret_comes_back_nowhere() {
    let (plane, protected) = (Plane::start().await, Protected::start().await);
    let dry =
        admin::CreateUpstreamRequest { validate_only: true, ..protected.creation(protected.credentials()) };
    create(&plane, dry).await.unwrap();
    assert!(plane.get("wiki").await.is_err());
    let created = create(&plane, protected.creation(protected.credentials())).await.unwrap();
    assert_eq!(protected.endpoint.given(), 1, "what a dry run obtained is used");
    let shown = plane.get("wiki").await.unwrap();
    let listed = plane.upstreams().list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap();
    for upstream in [created, shown, listed.into_inner().upstreams.remove(0)] {
        assert!(!holds(&upstream.encode_to_vec(), SECRET), "{upstream:?}");
        assert!(!holds(&upstream.encode_to_vec(), "token-1"), "{upstream:?}");
        let expected = admin::ClientCredentials { client_secret: String::new(), ..protected.credentials() };
        let expected = admin::ClientCredentials {
            auth_method: admin::ClientAuthentication::SecretBasic.into(),
            ..expected
        };
        assert_eq!(upstream.oauth, Some(expected));
    }
    let mut read = 0;
    for name in ["db.sqlite", "db.sqlite-wal"] {
        let bytes = std::fs::read(plane.path(name)).unwrap_or_default();
        read += bytes.len();
        assert!(!holds(&bytes, SECRET) && !holds(&bytes, "token-1"), "{name}");
    }
    assert!(read > 0);
    // A control plane that starts obtains its own.
    let plane = plane.restart_with(|_| {}).await;
    protected.upstream.set_token(Some("token-2"));
    assert_eq!(refresh(&plane).await, "");
}

#[tokio::test]
async fn a_failure_is_told_wherever_listings_are_and_the_tools_stay() {
    let (plane, protected) = (Plane::start().await, Protected::start().await);
    create(&plane, protected.creation(protected.credentials())).await.unwrap();
    // The token in use is refused, and there is no other.
    protected.upstream.set_token(Some("token-2"));
    protected.endpoint.set_secret("rotated");
    let error = refresh(&plane).await;
    assert!(error.ends_with("refused with status 401 (invalid_client)"), "{error}");
    let listing = plane.get("wiki").await.unwrap().listing.unwrap();
    assert_eq!((listing.error, listing.tools_admitted), (error, 1));
    let rotated = admin::ClientCredentials { client_secret: "rotated".to_owned(), ..protected.credentials() };
    let paths = ["oauth.client_secret"];
    assert_eq!(update(&plane, with(rotated.clone()), &paths).await.unwrap(), paths);
    assert_eq!(update(&plane, with(rotated), &paths).await.unwrap(), Vec::<String>::new(), "the same again");
    assert_eq!(refresh(&plane).await, "");

    let other = Protected::start().await;
    other.endpoint.answer(Answer::Raw(200, "hostile words".to_owned()));
    let mut request = other.creation(other.credentials());
    request.upstream.as_mut().unwrap().domain = "other".to_owned();
    let refused = create(&plane, request.clone()).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("the token endpoint answered with something else"), "{refused}");
    assert!(!format!("{refused:?}").contains("hostile"), "{refused:?}");
    request.allow_unreachable = true;
    assert!(create(&plane, request).await.unwrap().listing.unwrap().error.contains("token endpoint"));
}

#[tokio::test]
async fn mistakes_are_told_by_field_and_without_a_word_of_the_secret() {
    let (plane, protected) = (Plane::start().await, Protected::start().await);
    let good = protected.credentials();
    for (oauth, fields) in [
        (
            admin::ClientCredentials { client_secret: String::new(), ..good.clone() },
            &["oauth.client_secret"][..],
        ),
        (
            admin::ClientCredentials { token_url: "http://login.example/t".to_owned(), ..good.clone() },
            &["oauth.token_url"],
        ),
        (
            admin::ClientCredentials { token_url: "https://169.254.169.254/t".to_owned(), ..good.clone() },
            &["oauth.token_url"],
        ),
        (admin::ClientCredentials { scope: "a  b".to_owned(), ..good.clone() }, &["oauth.scope"]),
        (admin::ClientCredentials { auth_method: 9, ..good.clone() }, &["oauth.auth_method"]),
    ] {
        let refused = create(&plane, protected.creation(oauth)).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let found: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(found, fields, "{refused}");
        assert!(!format!("{refused:?}").contains(SECRET), "{refused:?}");
    }
    let mut both = protected.creation(good);
    both.upstream.as_mut().unwrap().headers.insert("Authorization".to_owned(), "Bearer x".to_owned());
    let refused = create(&plane, both).await.unwrap_err();
    assert!(refused.message().contains("would never be used"), "{refused}");
    assert!(protected.endpoint.asked().is_empty() && protected.upstream.requests().is_empty());
}

#[tokio::test]
async fn a_secret_never_follows_to_another_address() {
    let (plane, protected, other) =
        (Plane::start().await, Protected::start().await, Protected::start().await);
    create(&plane, protected.creation(protected.credentials())).await.unwrap();
    let url = other.upstream.url();
    let moved = admin::Upstream { url: url.clone(), discovery_url: url, ..with(other.credentials()) };
    for path in ["url", "discovery_url", "oauth.token_url"] {
        let refused = update(&plane, moved.clone(), &[path]).await.unwrap_err();
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        assert_eq!(violations[0].field, "oauth.client_secret", "{path}: {refused}");
    }
    assert!(other.endpoint.asked().is_empty() && other.upstream.requests().is_empty());
    let paths = ["oauth.client_secret", "oauth.token_url", "url"];
    assert_eq!(update(&plane, moved, &paths).await.unwrap(), paths[1..], "the secret is the same");

    // Over REST nobody can give one, so it is left behind.
    let open = FakeUpstream::builder().tool("search").stateless().start().await;
    plane.registration().register_server(request("wiki", &open.url())).await.unwrap();
    assert_eq!(plane.get("wiki").await.unwrap().oauth, None);
}

#[tokio::test]
async fn settings_change_one_by_one_and_are_removed_as_a_whole() {
    let (plane, protected) = (Plane::start().await, Protected::start().await);
    create(&plane, protected.creation(protected.credentials())).await.unwrap();
    protected.upstream.set_token(None);
    let other = admin::ClientCredentials {
        scope: String::new(),
        resource: "https://wiki/mcp".to_owned(),
        auth_method: admin::ClientAuthentication::SecretPost.into(),
        ..admin::ClientCredentials::default()
    };
    let paths = ["oauth.auth_method", "oauth.resource", "oauth.scope"];
    assert_eq!(update(&plane, with(other), &paths).await.unwrap(), paths);
    let asked = protected.endpoint.asked().pop().unwrap();
    assert!(asked.form.contains("resource=https") && asked.form.contains(SECRET), "{asked:?}");
    assert!(!asked.form.contains("scope") && asked.authorization.is_none(), "{asked:?}");
    let half = update(&plane, admin::Upstream::default(), &["oauth.client_secret"]).await.unwrap_err();
    assert_eq!(half.get_details_bad_request().unwrap().field_violations[0].field, "oauth.client_secret");
    let unknown = update(&plane, admin::Upstream::default(), &["oauth.token"]).await.unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);
    update(&plane, admin::Upstream::default(), &["oauth"]).await.unwrap();
    assert_eq!(plane.get("wiki").await.unwrap().oauth, None);
}
