use toolplane_testkit::Authority;
use toolplane_testkit::authority::Pair;

use super::*;

/// 2026-01-01.
const NOW: i64 = 1_767_225_600;

fn secret(text: &str) -> Secret {
    Secret::new(text.to_owned())
}

fn with(pair: &Pair) -> Tls {
    let Pair { certificate, key } = pair;
    Tls { ca: None, client_certificate: Some(secret(certificate)), client_key: Some(secret(key)) }
}

fn refusals(tls: &Tls) -> Vec<(String, String)> {
    let rejections = check(tls, NOW).unwrap_err();
    rejections.into_iter().map(|found| (found.subject, found.reason)).collect()
}

fn only(tls: &Tls) -> (String, String) {
    let [one] = refusals(tls).try_into().unwrap();
    one
}

#[test]
fn what_holds_is_described_without_a_word_of_the_key() {
    let authority = Authority::new("Example Root");
    let pair = authority.pair("gateway");
    let tls = Tls { ca: Some(secret(authority.pem())), ..with(&pair) };
    assert_eq!(check(&tls, NOW), Ok(()));
    let Description { authorities, client } = describe(&tls);
    let client = client.unwrap();
    assert_eq!((authorities.len(), authorities[0].subject.as_str()), (1, "CN=Example Root"));
    assert_eq!((client.subject.as_str(), client.issuer.as_str()), ("CN=gateway", "CN=Example Root"));
    assert_eq!(client.not_after, 64_060_588_800, "4000-01-01");
    assert_ne!(client.fingerprint, authorities[0].fingerprint);
    assert_eq!(check(&Tls::default(), NOW), Ok(()));
    assert_eq!(describe(&Tls::default()), Description::default());
}

#[test]
fn a_key_that_is_not_the_certificates_is_refused() {
    let authority = Authority::new("ca");
    let (one, two) = (authority.pair("one"), authority.pair("two"));
    let (subject, reason) = only(&Tls { client_key: Some(secret(&two.key)), ..with(&one) });
    assert_eq!(
        (subject.as_str(), reason.as_str()),
        ("tls.client_key", "does not belong to the client certificate")
    );
}

#[test]
fn a_certificate_and_a_key_need_each_other() {
    let pair = Authority::new("ca").pair("one");
    let (subject, reason) = only(&Tls { client_key: None, ..with(&pair) });
    assert!(subject == "tls.client_key" && reason.starts_with("is missing"), "{subject}: {reason}");
    let (subject, reason) = only(&Tls { client_certificate: None, ..with(&pair) });
    assert!(subject == "tls.client_certificate" && reason.starts_with("is missing"), "{subject}: {reason}");
}

#[test]
fn certificates_that_are_over_are_refused_with_the_day() {
    let authority = Authority::new("ca");
    let (subject, reason) = only(&with(&authority.pair_until("old", 2020)));
    assert_eq!((subject.as_str(), reason.as_str()), ("tls.client_certificate", "has expired on 2020-01-01"));
    let early = check(&with(&authority.pair("new")), -1_000_000_000_000).unwrap_err();
    assert!(early[0].reason.starts_with("is not valid before"), "{early:?}");
    let old = Authority::until("old ca", 2020);
    assert_eq!(only(&Tls { ca: Some(secret(old.pem())), ..Tls::default() }).0, "tls.ca");
    let both = format!("{}{}", old.pem(), authority.pem());
    assert_eq!(
        check(&Tls { ca: Some(secret(&both)), ..Tls::default() }, NOW),
        Ok(()),
        "its successor is there"
    );
}

#[test]
fn what_cannot_be_read_is_told_all_at_once_and_never_repeated() {
    let pair = Authority::new("ca").pair("one");
    let found = refusals(&Tls {
        ca: Some(secret("hunter2")),
        client_certificate: Some(secret("-----BEGIN CERTIFICATE-----\nhunter2\n-----END CERTIFICATE-----\n")),
        client_key: Some(secret("-----BEGIN PRIVATE KEY-----\nhunter2 hunter2\n-----END PRIVATE KEY-----\n")),
    });
    let subjects: Vec<&str> = found.iter().map(|(subject, _)| subject.as_str()).collect();
    assert_eq!(subjects, ["tls.ca", "tls.client_certificate", "tls.client_key"]);
    assert!(!format!("{found:?}").contains("hunter2"), "{found:?}");
    // A certificate where a key should be, the other way round, and one that was cut.
    for tls in [
        Tls { client_key: Some(secret(&pair.certificate)), ..with(&pair) },
        Tls { client_certificate: Some(secret(&pair.key)), ..with(&pair) },
        Tls { ca: Some(secret(&pair.key)), ..Tls::default() },
        Tls { ca: Some(secret(&pair.certificate[..pair.certificate.len() / 2])), ..Tls::default() },
    ] {
        assert!(check(&tls, NOW).is_err());
    }
}

#[test]
fn an_encrypted_key_is_told_as_such() {
    let pair = Authority::new("ca").pair("one");
    let modern = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIF\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let older =
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nMIIF\n-----END RSA PRIVATE KEY-----\n";
    for key in [modern, older] {
        let (subject, reason) = only(&Tls { client_key: Some(secret(key)), ..with(&pair) });
        assert!(subject == "tls.client_key" && reason.starts_with("is encrypted"), "{reason}");
    }
}

#[test]
fn a_text_without_end_is_refused_before_it_is_read() {
    let (subject, reason) = only(&Tls { ca: Some(secret(&"x".repeat(MAX_PEM_BYTES + 1))), ..Tls::default() });
    assert_eq!((subject.as_str(), reason.as_str()), ("tls.ca", "is larger than 256 KiB"));
}
