use futures::future::join_all;
use toolplane_registry::{Domain, OAuth, Secret};
use toolplane_testkit::FakeUpstream;
use toolplane_testkit::token_endpoint::{Answer, TokenEndpoint};
use toolplane_upstream::{Connector, connector};

use crate::credentials::{Credentials, Shared};
use crate::refresh::{Error, Listed, Lister};

use super::*;

const SECRET: &str = "cl1ent-s3cr3t";
const DEADLINE: Duration = Duration::from_secs(10);
const MINUTE: Duration = Duration::from_mins(1);

/// An upstream that wants a token, where to get one, and who lists it.
struct Protected {
    endpoint: TokenEndpoint,
    server: FakeUpstream,
    lister: Lister,
    upstream: Upstream,
}

impl Protected {
    async fn start() -> Self {
        let endpoint = TokenEndpoint::start(SECRET).await;
        let server = FakeUpstream::builder().tool("search").stateless().token("token-1").start().await;
        let upstream = Upstream { oauth: oauth(&endpoint), ..upstream("crm", &server) };
        Self { endpoint, server, lister: lister(DEADLINE, None), upstream }
    }

    async fn list(&self) -> Result<Listed, Error> {
        self.lister.list(&self.upstream).await
    }

    async fn refused(&self) -> String {
        let error = self.list().await.unwrap_err();
        let text = format!("{error} {error:?} {:?} {:?}", self.lister, self.upstream);
        assert!(!text.contains(SECRET) && !text.contains("token-1") && !text.contains("hostile"), "{text}");
        error.to_string()
    }
}

fn oauth(endpoint: &TokenEndpoint) -> OAuth {
    OAuth {
        token_url: endpoint.url(),
        client_id: "gateway".to_owned(),
        client_secret: Some(Secret::new(SECRET.to_owned())),
        ..OAuth::default()
    }
}

fn upstream(domain: &str, server: &FakeUpstream) -> Upstream {
    Upstream::new(Domain::parse(domain).unwrap(), server.url())
}

fn lister(deadline: Duration, shared: Option<Shared>) -> Lister {
    let client = Client::new(Connector::new(connector::Options::default()).unwrap());
    let credentials = Credentials::new(client.clone(), shared, deadline, Metrics::new(None));
    Lister::new(client, deadline, credentials)
}

/// Lets time pass at once, and then go on as it does: sockets need real time.
async fn step(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

#[tokio::test]
async fn a_token_is_replaced_ahead_of_its_end_and_kept_until_then() {
    let protected = Protected::start().await;
    protected.endpoint.answer(Answer::Token(Some(600)));
    for _ in 0..3 {
        assert_eq!(protected.list().await.unwrap().tools.len(), 1);
    }
    step(7 * MINUTE).await;
    protected.list().await.unwrap();
    assert_eq!(protected.endpoint.given(), 1);
    step(MINUTE + Duration::from_secs(1)).await;
    protected.server.set_token(Some("token-2"));
    protected.list().await.unwrap();
    assert_eq!((protected.endpoint.given(), protected.endpoint.asked().len()), (2, 2));
    let [first, _] = protected.endpoint.asked().try_into().unwrap();
    assert_eq!(first.authorization.as_deref(), Some(&*format!("gateway:{SECRET}")));
    assert_eq!(first.form, "grant_type=client_credentials");
}

#[tokio::test]
async fn an_endpoint_that_is_away_near_the_end_does_no_harm_until_the_end() {
    let protected = Protected::start().await;
    protected.endpoint.answer(Answer::Token(Some(600)));
    protected.list().await.unwrap();
    protected.endpoint.answer(Answer::Raw(503, "hostile".to_owned()));
    step(9 * MINUTE).await;
    protected.list().await.unwrap();
    assert_eq!(protected.endpoint.asked().len(), 2, "it was tried");
    step(2 * MINUTE).await;
    let reason = protected.refused().await;
    assert_eq!(reason, "no token to list it with: the token endpoint answered with status 503");
    let again = protected.refused().await;
    assert!(again.contains("asked again in"), "{again}");
    assert_eq!(protected.endpoint.asked().len(), 3, "a pause follows a failure");
    protected.endpoint.answer(Answer::Token(None));
    protected.server.set_token(Some("token-2"));
    step(MINUTE).await;
    protected.list().await.unwrap();
}

#[tokio::test]
async fn a_401_leads_to_one_fresh_token() {
    let protected = Protected::start().await;
    protected.list().await.unwrap();
    protected.server.set_token(Some("token-2"));
    protected.list().await.unwrap();
    assert_eq!(protected.endpoint.given(), 2);
    // An upstream that wants something else is asked once more, and no token is obtained for another try.
    protected.server.set_token(Some("never"));
    assert!(protected.refused().await.contains("refused the credentials with status 401"));
    assert_eq!(protected.endpoint.given(), 3);
}

#[tokio::test]
async fn a_token_that_is_refused_at_once_is_not_replaced() {
    let protected = Protected::start().await;
    protected.server.set_token(Some("never"));
    assert!(protected.refused().await.contains("status 401"));
    assert_eq!(protected.endpoint.given(), 1);
}

#[tokio::test]
async fn a_wrong_secret_is_told_by_its_code_and_the_right_one_is_not_kept_waiting() {
    let mut protected = Protected::start().await;
    protected.endpoint.set_secret("another");
    let reason = protected.refused().await;
    assert_eq!(
        reason,
        "no token to list it with: the token endpoint refused with status 401 (invalid_client)"
    );
    assert!(protected.server.requests().is_empty(), "the upstream is not asked");
    protected.upstream.oauth.client_secret = Some(Secret::new("another".to_owned()));
    protected.list().await.unwrap();
}

#[tokio::test]
async fn whatever_is_no_token_is_told_and_never_repeated() {
    for (answer, words) in [
        (Answer::Raw(200, "hostile".to_owned()), "something else than a token"),
        (Answer::Raw(200, r#"{"access_token":"a\nb"}"#.to_owned()), "cannot be sent in a header"),
        (Answer::Raw(200, r#"{"access_token":"t","token_type":"hostile"}"#.to_owned()), "no bearer token"),
        (Answer::Raw(400, r#"{"error":"hostile"}"#.to_owned()), "refused with status 400"),
        (Answer::Raw(400, r#"{"error":"invalid_scope"}"#.to_owned()), "status 400 (invalid_scope)"),
        (Answer::Redirect("http://127.0.0.1:9/token".to_owned()), "a redirect, which is not followed"),
        (Answer::Endless, "more than 65536 bytes"),
    ] {
        let protected = Protected::start().await;
        protected.endpoint.answer(answer);
        let reason = protected.refused().await;
        assert!(reason.contains(words), "{words}: {reason}");
    }
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_given_up_and_keeps_no_other_upstream_waiting() {
    let mut protected = Protected::start().await;
    protected.lister = lister(Duration::from_secs(2), None);
    protected.endpoint.answer(Answer::Hang);
    let plain = FakeUpstream::builder().tool("search").stateless().start().await;
    let plain = upstream("plain", &plain);
    let (hung, _) = tokio::join!(protected.refused(), async {
        protected.endpoint.wait_for(1).await;
        protected.lister.list(&plain).await.unwrap()
    });
    assert!(hung.contains("did not answer in time"), "{hung}");
}

#[tokio::test]
async fn many_who_want_a_token_at_once_get_it_by_one_request() {
    let protected = Protected::start().await;
    protected.endpoint.answer(Answer::Hang);
    let release = async {
        protected.endpoint.wait_for(1).await;
        protected.endpoint.answer(Answer::Token(Some(600)));
    };
    let (listed, ()) = tokio::join!(join_all((0..64).map(|_| protected.list())), release);
    assert!(listed.into_iter().all(|listed| listed.is_ok()));
    assert_eq!(protected.endpoint.asked().len(), 1);
    // And so do those who were refused together.
    protected.server.set_token(Some("token-2"));
    let listed = join_all((0..64).map(|_| protected.list())).await;
    assert!(listed.into_iter().all(|listed| listed.is_ok()));
    assert_eq!(protected.endpoint.asked().len(), 2);
}

#[tokio::test]
async fn whoever_gives_up_leaves_the_turn_to_the_next() {
    let protected = Protected::start().await;
    protected.endpoint.answer(Answer::Hang);
    tokio::select! {
        _ = protected.list() => panic!("it hangs"),
        () = protected.endpoint.wait_for(1) => {}
    }
    protected.endpoint.answer(Answer::Token(None));
    // The request that was given up may have been given the first.
    protected.server.set_token(None);
    protected.list().await.unwrap();
}

#[tokio::test]
async fn everything_that_is_set_is_asked_for() {
    let mut protected = Protected::start().await;
    let oauth = &mut protected.upstream.oauth;
    oauth.scope = Some("tools.read tools.list".to_owned());
    oauth.resource = Some("https://crm/mcp".to_owned());
    oauth.auth_method = toolplane_registry::oauth::AuthMethod::Post;
    protected.list().await.unwrap();
    let [asked] = protected.endpoint.asked().try_into().unwrap();
    assert_eq!(
        asked.form,
        format!(
            "grant_type=client_credentials&scope=tools.read+tools.list&resource=https%3A%2F%2Fcrm%2Fmcp\
             &client_id=gateway&client_secret={SECRET}"
        )
    );
    assert_eq!(asked.authorization, None);
}

#[tokio::test]
async fn an_upstreams_own_header_beats_its_own_token_and_that_beats_what_is_shared() {
    let protected = Protected::start().await;
    let shared = Some(Shared::Token(Secret::new("shared".to_owned())));
    let lister = lister(DEADLINE, shared);
    lister.list(&protected.upstream).await.unwrap();
    protected.server.set_token(Some("shared"));
    lister.list(&upstream("other", &protected.server)).await.unwrap();
    protected.server.set_token(Some("own"));
    let value = Secret::new("Bearer own".to_owned());
    let header = toolplane_registry::upstream::Header { name: "authorization".to_owned(), value };
    let with_header = Upstream { headers: vec![header], ..protected.upstream.clone() };
    lister.list(&with_header).await.unwrap();
    assert_eq!(protected.endpoint.given(), 1);
}

#[tokio::test]
async fn a_token_file_is_read_for_each_listing_and_the_reason_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let lister = lister(DEADLINE, Some(Shared::File(path.clone())));
    let server = FakeUpstream::builder().tool("search").stateless().token("one").start().await;
    let upstream = upstream("crm", &server);
    let error = lister.list(&upstream).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("no token to list it with: token file `{}` does not exist", path.display())
    );
    assert!(server.requests().is_empty());
    for token in ["one", "two"] {
        server.set_token(Some(token));
        write(&path, token);
        lister.list(&upstream).await.unwrap();
    }
}

/// As whoever rotates tokens does it.
fn write(path: &std::path::Path, token: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let draft = path.with_extension("new");
    std::fs::write(&draft, format!("{token}\n")).unwrap();
    std::fs::set_permissions(&draft, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::rename(draft, path).unwrap();
}

#[tokio::test]
async fn tokens_of_upstreams_that_are_gone_are_forgotten() {
    let protected = Protected::start().await;
    let client = Client::new(Connector::new(connector::Options::default()).unwrap());
    let tokens = Tokens::new(client, DEADLINE, Metrics::new(None));
    tokens.of(&protected.upstream, None).await.unwrap();
    step(KEPT_UNUSED).await;
    let other = Upstream { domain: Domain::parse("other").unwrap(), ..protected.upstream.clone() };
    tokens.of(&other, None).await.unwrap();
    assert_eq!(tokens.0.slots.lock().unwrap().len(), 1);
}
