//! Upstreams with TLS settings of their own, as operators see them.

use prost::Message as _;
use prost_types::FieldMask;
use tonic::{Code, Status};
use tonic_types::StatusExt as _;
use toolplane_proto::admin;
use toolplane_testkit::Authority;
use toolplane_testkit::authority::Pair;
use toolplane_testkit::fake_upstream::{FakeUpstream, Tls};

use crate::harness::{Plane, creation};
use crate::registration::request;

/// What PEM texts begin with.
const PEM: &[u8] = b"-----BEGIN";

/// An upstream that lets in who has a certificate, and what a control plane needs for it.
struct Secured {
    servers: Authority,
    clients: Authority,
    pair: Pair,
    upstream: FakeUpstream,
}

impl Secured {
    async fn start() -> Self {
        let (servers, clients) = (Authority::new("servers"), Authority::new("clients"));
        let tls = Tls::new(servers.pair("upstream")).clients_of(&clients);
        let upstream = FakeUpstream::builder().tool("search").stateless().tls(tls).start().await;
        let pair = clients.pair("gateway");
        Self { servers, clients, pair, upstream }
    }

    fn settings(&self) -> admin::UpstreamTls {
        settings(&self.servers, &self.pair)
    }

    fn creation(&self, tls: Option<admin::UpstreamTls>) -> admin::CreateUpstreamRequest {
        let mut request = creation("hr", &self.upstream.url());
        request.upstream.as_mut().unwrap().tls = tls;
        request
    }
}

fn settings(authority: &Authority, pair: &Pair) -> admin::UpstreamTls {
    admin::UpstreamTls {
        ca: authority.pem().to_owned(),
        client_certificate: pair.certificate.clone(),
        client_key: pair.key.clone(),
        ..admin::UpstreamTls::default()
    }
}

async fn create(plane: &Plane, request: admin::CreateUpstreamRequest) -> Result<admin::Upstream, Status> {
    Ok(plane.upstreams().create_upstream(request).await?.into_inner().upstream.unwrap())
}

/// Changes one upstream; the fields that have other values by that.
async fn update(plane: &Plane, upstream: admin::Upstream, paths: &[&str]) -> Result<Vec<String>, Status> {
    let request = admin::UpdateUpstreamRequest {
        upstream: Some(admin::Upstream { domain: "hr".to_owned(), ..upstream }),
        update_mask: Some(FieldMask { paths: paths.iter().map(|&path| path.to_owned()).collect() }),
        ..admin::UpdateUpstreamRequest::default()
    };
    Ok(plane.upstreams().update_upstream(request).await?.into_inner().changed_fields.unwrap().paths)
}

fn with(tls: admin::UpstreamTls) -> admin::Upstream {
    admin::Upstream { tls: Some(tls), ..admin::Upstream::default() }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test]
async fn an_upstream_is_listed_with_what_it_asks_for_and_an_operator_is_told_what_is_missing() {
    let (plane, secured) = (Plane::start().await, Secured::start().await);
    let refused = create(&plane, secured.creation(None)).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(
        refused.message().ends_with("signed by unknown authority: give its CA with `--ca-file`"),
        "{refused}"
    );
    let nameless = admin::UpstreamTls {
        client_certificate: String::new(),
        client_key: String::new(),
        ..secured.settings()
    };
    let refused = create(&plane, secured.creation(Some(nameless))).await.unwrap_err();
    assert!(refused.message().contains("it asks for a client certificate"), "{refused}");
    assert!(plane.get("hr").await.is_err(), "a refusal leaves nothing behind");
    let created = create(&plane, secured.creation(Some(secured.settings()))).await.unwrap();
    assert_eq!(created.listing.unwrap().tools_admitted, 1);
}

#[tokio::test]
async fn what_is_set_is_described_and_comes_back_nowhere() {
    let (plane, secured) = (Plane::start().await, Secured::start().await);
    let created = create(&plane, secured.creation(Some(secured.settings()))).await.unwrap();
    let shown = plane.get("hr").await.unwrap();
    let listed = plane.upstreams().list_upstreams(admin::ListUpstreamsRequest::default()).await.unwrap();
    let listed = listed.into_inner().upstreams.remove(0);
    for upstream in [created, shown, listed] {
        assert!(!holds(&upstream.encode_to_vec(), PEM), "{upstream:?}");
        let tls = upstream.tls.unwrap();
        let [authority] = tls.authorities.try_into().unwrap();
        let client = tls.client.unwrap();
        assert_eq!((authority.subject.as_str(), authority.fingerprint.len()), ("CN=servers", 64));
        assert_eq!((client.subject.as_str(), client.issuer.as_str()), ("CN=gateway", "CN=clients"));
        assert_eq!(client.not_after.unwrap().to_string(), "4000-01-01T00:00:00Z");
    }
    // Where it is kept: sealed.
    let key_line = secured.pair.key.lines().nth(1).unwrap().as_bytes();
    let mut read = 0;
    for name in ["db.sqlite", "db.sqlite-wal"] {
        let bytes = std::fs::read(plane.path(name)).unwrap_or_default();
        read += bytes.len();
        assert!(!holds(&bytes, PEM) && !holds(&bytes, key_line), "{name}");
    }
    assert!(read > 0);
    let plane = plane.restart_with(|_| {}).await;
    secured.upstream.rename_tools(&["search", "fetch"]);
    let request = admin::RefreshUpstreamsRequest { domains: vec!["hr".to_owned()] };
    let refreshed = plane.upstreams().refresh_upstreams(request).await.unwrap().into_inner().refreshed;
    assert_eq!((refreshed[0].error.as_str(), refreshed[0].added.as_slice()), ("", &["fetch".to_owned()][..]));
}

#[tokio::test]
async fn mistakes_are_told_by_field_and_without_a_word_of_what_was_sent() {
    let (plane, secured) = (Plane::start().await, Secured::start().await);
    let (good, other) = (secured.settings(), secured.clients.pair("other"));
    let old = secured.clients.pair_until("old", 2020);
    let damaged = "-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n".to_owned();
    for (tls, fields) in [
        (admin::UpstreamTls { ca: "hunter2".to_owned(), ..good.clone() }, &["tls.ca"][..]),
        (admin::UpstreamTls { client_key: other.key.clone(), ..good.clone() }, &["tls.client_key"]),
        (admin::UpstreamTls { client_key: String::new(), ..good.clone() }, &["tls.client_key"]),
        (
            admin::UpstreamTls { client_certificate: String::new(), ..good.clone() },
            &["tls.client_certificate"],
        ),
        (settings(&secured.servers, &old), &["tls.client_certificate"]),
        (
            admin::UpstreamTls {
                client_certificate: damaged,
                client_key: "hunter2".to_owned(),
                ..good.clone()
            },
            &["tls.client_certificate", "tls.client_key"],
        ),
    ] {
        let refused = create(&plane, secured.creation(Some(tls))).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        let violations = refused.get_details_bad_request().unwrap().field_violations;
        let found: Vec<&str> = violations.iter().map(|violation| violation.field.as_str()).collect();
        assert_eq!(found, fields, "{refused}");
        let text = format!("{refused:?}");
        assert!(!text.contains("hunter2") && !text.contains("BEGIN"), "{text}");
    }
    let mut plain = secured.creation(Some(good));
    plain.upstream.as_mut().unwrap().url = "http://127.0.0.1:9/mcp".to_owned();
    let refused = create(&plane, plain).await.unwrap_err();
    assert!(refused.message().contains("secures nothing"), "{refused}");
    assert_eq!(secured.upstream.requests().len(), 0, "nobody was asked");
}

#[tokio::test]
async fn settings_are_replaced_one_by_one_without_a_restart() {
    let (plane, secured) = (Plane::start().await, Secured::start().await);
    create(&plane, secured.creation(Some(secured.settings()))).await.unwrap();

    let (servers, clients) = (Authority::new("next servers"), Authority::new("next clients"));
    let next = settings(&servers, &clients.pair("gateway"));
    let tls = Tls::new(servers.pair("upstream")).clients_of(&clients);
    secured.upstream.set_tls(&tls);
    let ca_alone = update(&plane, with(next.clone()), &["tls.ca"]).await.unwrap_err();
    assert_eq!(ca_alone.code(), Code::FailedPrecondition);
    assert!(ca_alone.message().contains("client certificate"), "{ca_alone}");
    let paths = ["tls.ca", "tls.client_certificate", "tls.client_key"];
    assert_eq!(update(&plane, with(next.clone()), &paths).await.unwrap(), paths);
    assert_eq!(update(&plane, with(next), &paths).await.unwrap(), Vec::<String>::new(), "the same again");
    assert_eq!(plane.get("hr").await.unwrap().tls.unwrap().authorities[0].subject, "CN=next servers");

    let half = update(&plane, admin::Upstream::default(), &["tls.client_key"]).await.unwrap_err();
    assert_eq!(half.get_details_bad_request().unwrap().field_violations[0].field, "tls.client_key");
    secured.upstream.set_tls(&Tls::new(servers.pair("upstream")));
    assert_eq!(update(&plane, admin::Upstream::default(), &paths[1..]).await.unwrap(), paths[1..]);
    assert!(plane.get("hr").await.unwrap().tls.unwrap().client.is_none());
    let unknown = update(&plane, admin::Upstream::default(), &["tls.pin"]).await.unwrap_err();
    assert_eq!(unknown.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_client_certificate_never_follows_to_another_address() {
    let (plane, secured, elsewhere) = (Plane::start().await, Secured::start().await, Secured::start().await);
    create(&plane, secured.creation(Some(secured.settings()))).await.unwrap();
    let moved = admin::Upstream { url: elsewhere.upstream.url(), ..with(elsewhere.settings()) };
    let alone = update(&plane, moved.clone(), &["url"]).await.unwrap_err();
    assert!(alone.message().contains("client certificate must be given again"), "{alone}");
    update(&plane, moved, &["url", "tls"]).await.unwrap();

    // Over REST nobody can give one, so it is left behind; the authorities stay, for they give nothing away.
    let open = Tls::new(elsewhere.servers.pair("upstream"));
    let open = FakeUpstream::builder().tool("search").stateless().tls(open).start().await;
    plane.registration().register_server(request("hr", &open.url())).await.unwrap();
    let tls = plane.get("hr").await.unwrap().tls.unwrap();
    assert!(tls.client.is_none() && tls.authorities[0].subject == "CN=servers", "{tls:?}");
    let plain = FakeUpstream::builder().tool("search").stateless().start().await;
    plane.registration().register_server(request("hr", &plain.url())).await.unwrap();
    assert_eq!(plane.get("hr").await.unwrap().tls, None, "there is nothing to secure");
}
