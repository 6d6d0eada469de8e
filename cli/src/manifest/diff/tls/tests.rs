use super::super::super::Manifest;
use super::super::super::read;
use super::*;

fn manifest(more: &str) -> Manifest {
    let text = format!("upstreams:\n- domain: a\n  url: https://a/mcp\n{more}");
    let (manifest, mistakes) = read::manifest(&[("f".to_owned(), text.clone())]);
    assert_eq!(mistakes, [], "{text}");
    manifest
}

fn certificate(subject: &str) -> wire::Certificate {
    wire::Certificate { subject: subject.to_owned(), ..wire::Certificate::default() }
}

fn held(authorities: &[&str], client: Option<&str>) -> wire::Upstream {
    let authorities: Vec<_> = authorities.iter().map(|subject| certificate(subject)).collect();
    let tls =
        wire::UpstreamTls { authorities, client: client.map(certificate), ..wire::UpstreamTls::default() };
    wire::Upstream {
        domain: "a".to_owned(),
        url: "https://a/mcp".to_owned(),
        tls: Some(tls),
        ..wire::Upstream::default()
    }
}

/// Fields that change; those that may not are marked.
fn changed(more: &str, held: &wire::Upstream) -> Result<Vec<String>, usize> {
    let edits = change(&manifest(more).upstreams[0], Some(held)).map_err(|mistakes| mistakes.len())?;
    Ok(edits.iter().map(|edit| format!("{}{}", edit.field, if edit.uncertain { "?" } else { "" })).collect())
}

#[test]
fn each_setting_changes_by_itself_and_what_is_not_spoken_of_stays() {
    let (none, all) = (held(&[], None), held(&["CN=root"], Some("CN=gateway")));
    let unchanged = "  tls: {ca: {unchanged: true}, client_certificate: {unchanged: true}, client_key: {unchanged: true}}\n";
    for (more, held, expected) in [
        ("", &all, Ok(vec![])),
        (unchanged, &all, Ok(vec![])),
        ("  tls: {}\n", &none, Ok(vec![])),
        ("  tls: {}\n", &all, Ok(vec!["tls.ca", "tls.client_certificate", "tls.client_key"])),
        ("  tls: {ca: x}\n", &none, Ok(vec!["tls.ca"])),
        ("  tls: {ca: x}\n", &all, Ok(vec!["tls.ca?", "tls.client_certificate", "tls.client_key"])),
        ("  tls: {ca: {unchanged: true}}\n", &none, Err(1)),
    ] {
        let expected = expected.map(|fields| fields.into_iter().map(str::to_owned).collect());
        assert_eq!(changed(more, held), expected, "{more}");
    }
}

#[test]
fn a_new_address_needs_the_client_certificate_again_and_keeps_the_authorities() {
    let moved = |client| wire::Upstream { url: "https://old/mcp".to_owned(), ..held(&["CN=root"], client) };
    let client = Some("CN=gateway");
    assert_eq!(changed("", &moved(client)), Err(1));
    assert_eq!(changed("", &moved(None)), Ok(vec![]));
    let kept = "  tls: {ca: {unchanged: true}, client_certificate: {unchanged: true}, client_key: {unchanged: true}}\n";
    assert_eq!(changed(kept, &moved(client)), Err(1), "one mistake, told once");
    let given = "  tls: {ca: {unchanged: true}, client_certificate: x, client_key: y}\n";
    let expected = ["tls.client_certificate", "tls.client_key"].map(str::to_owned).to_vec();
    assert_eq!(changed(given, &moved(client)), Ok(expected), "they are sent in any case");
}

#[test]
fn what_is_sent_is_what_was_given_and_plans_show_names_alone() {
    let upstream = &manifest("  tls: {ca: their ca, client_key: our key}\n").upstreams[0];
    let sent = wanted(upstream).unwrap();
    assert_eq!(
        (sent.ca.as_str(), sent.client_certificate.as_str(), sent.client_key.as_str()),
        ("their ca", "", "our key")
    );
    let edits = change(upstream, Some(&held(&["CN=root", "CN=next"], None))).unwrap();
    assert_eq!((edits[0].from.as_str(), edits[0].to.as_str()), ("CN=root and 1 more", "set"));
    assert!(!format!("{edits:?}").contains("our key"));
}
