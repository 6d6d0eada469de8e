use proptest::prelude::*;
use prost::Message as _;
use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint};
use toolplane_registry::test_util::a_tool;
use toolplane_registry::upstream::{Header, SessionMode};
use toolplane_registry::{Domain, RawJson, Secret, Tls, Tool, Version};

use crate::{decode, encode, sync};

fn a_domain(name: &str) -> DomainSnapshot {
    let tool = Tool {
        output_schema: Some(RawJson::parse(r#"{"type":"object","x":1e400}"#).unwrap()),
        annotations: Some(RawJson::parse(r#"{"readOnlyHint":true}"#).unwrap()),
        ..a_tool("search")
    };
    let endpoint = Endpoint {
        headers: vec![Header { name: "authorization".into(), value: Secret::new("Bearer x".into()) }],
        tls: Tls {
            ca: Some(Secret::new("their ca".into())),
            client_certificate: Some(Secret::new("our certificate".into())),
            client_key: Some(Secret::new("our key".into())),
        },
        forward_headers: Some(vec!["x-*".into()]),
        session_mode: SessionMode::Shared,
        config_id: "c1".into(),
        ..Endpoint::plain("http://127.0.0.1:9/mcp")
    };
    DomainSnapshot::new(Domain::parse(name).unwrap(), "words".into(), endpoint, vec![tool.into()])
}

#[test]
fn a_domain_survives_the_wire() {
    let entry = a_domain("apollo");
    let bytes = sync::Domain::from(&entry).encode_to_vec();
    let back = DomainSnapshot::try_from(sync::Domain::decode(bytes.as_slice()).unwrap()).unwrap();
    assert_eq!(back.digest(), entry.digest());
    assert_eq!(back.endpoint(), entry.endpoint());
    assert_eq!(back.tools(), entry.tools());
}

/// A node of a release that does not know the field computes the digest that the control plane sent.
#[test]
fn digests_say_nothing_of_tls() {
    let entry = a_domain("apollo");
    let endpoint = Endpoint { tls: Tls::default(), ..entry.endpoint().clone() };
    let plain = DomainSnapshot::new(entry.domain().clone(), "words".into(), endpoint, entry.tools().to_vec());
    assert_eq!(plain.digest(), entry.digest());
}

#[test]
fn a_domain_whose_content_was_changed_is_refused() {
    let mut wire = sync::Domain::from(&a_domain("apollo"));
    wire.description = "other words".into();
    let error = DomainSnapshot::try_from(wire).unwrap_err();
    assert!(matches!(error, decode::Error::Invalid { field: "digest", .. }), "{error}");
}

type Spoil = fn(&mut sync::Domain);

#[test]
fn errors_name_the_field() {
    let good = sync::Domain::from(&a_domain("apollo"));
    let cases: [(&str, Spoil); 5] = [
        ("endpoint", |d| d.endpoint = None),
        ("domain", |d| d.domain = " ".into()),
        ("digest", |d| d.digest.truncate(3)),
        ("session_mode", |d| d.endpoint.as_mut().unwrap().session_mode = 99),
        ("input_schema", |d| d.tools[0].input_schema = "{".into()),
    ];
    for (field, spoil) in cases {
        let mut wire = good.clone();
        spoil(&mut wire);
        let error = DomainSnapshot::try_from(wire).unwrap_err().to_string();
        assert!(error.contains(&format!("`{field}`")), "{field}: {error}");
    }
}

#[test]
fn unknown_fields_are_tolerated() {
    let mut bytes = sync::Version { store_id: "s".into(), number: 7 }.encode_to_vec();
    bytes.extend([0xfa, 0x3e, 3, b'n', b'e', b'w']); // field 1007, length-delimited
    assert_eq!(sync::Version::decode(bytes.as_slice()).unwrap().number, 7);
}

#[test]
fn debug_shows_no_credential() {
    let update = encode::full_update(
        &Builder::new(Version::new("s", 1)).domain(a_domain("apollo")).build().unwrap(),
        "n".into(),
    );
    let shown = format!("{update:?}");
    for secret in ["Bearer x", "our certificate", "our key"] {
        assert!(!shown.contains(secret), "{shown}");
    }
}

proptest! {
    #[test]
    fn decoding_garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        if let Ok(domain) = sync::Domain::decode(bytes.as_slice()) {
            drop(DomainSnapshot::try_from(domain));
        }
    }
}
