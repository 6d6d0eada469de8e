use super::super::super::Manifest;
use super::super::super::read;
use super::*;

const FULL: &str =
    "  oauth: {token_url: 'https://l/token', client_id: gw, scope: a b, client_secret: s3cr3t}\n";

fn manifest(more: &str) -> Manifest {
    let text = format!("upstreams:\n- domain: a\n  url: https://a/mcp\n{more}");
    let (manifest, mistakes) = read::manifest(&[("f".to_owned(), text.clone())]);
    assert_eq!(mistakes, [], "{text}");
    manifest
}

fn held(url: &str, oauth: bool) -> wire::Upstream {
    let credentials = wire::ClientCredentials {
        token_url: "https://l/token".to_owned(),
        client_id: "gw".to_owned(),
        scope: "a b".to_owned(),
        ..wire::ClientCredentials::default()
    };
    let oauth = oauth.then_some(credentials);
    wire::Upstream { domain: "a".to_owned(), url: url.to_owned(), oauth, ..wire::Upstream::default() }
}

/// What is written, what is held, and which fields change or how many mistakes are told.
type Case<'a> = (&'a str, &'a wire::Upstream, Result<&'a [&'a str], usize>);

/// Fields that change; those that may not are marked.
fn changed(more: &str, held: &wire::Upstream) -> Result<Vec<String>, usize> {
    let edits = change(&manifest(more).upstreams[0], Some(held)).map_err(|mistakes| mistakes.len())?;
    assert!(!format!("{edits:?}").contains("s3cr3t"));
    Ok(edits.iter().map(|edit| format!("{}{}", edit.field, if edit.uncertain { "?" } else { "" })).collect())
}

#[test]
fn each_setting_changes_by_itself_and_what_is_not_spoken_of_stays() {
    let (none, some, elsewhere) =
        (held("https://a/mcp", false), held("https://a/mcp", true), held("https://b/mcp", true));
    let without = FULL.replace(", client_secret: s3cr3t", "");
    let unchanged = FULL.replace("s3cr3t", "{unchanged: true}");
    let other_scope = without.replace("a b", "a");
    let other_endpoint = FULL.replace("//l/", "//m/");
    let all = ["oauth.token_url", "oauth.client_id", "oauth.scope", "oauth.client_secret"];
    let cases: &[Case<'_>] = &[
        ("", &some, Ok(&[])),
        ("", &none, Ok(&[])),
        (without.as_str(), &some, Ok(&[])),
        (&unchanged, &some, Ok(&[])),
        (FULL, &some, Ok(&["oauth.client_secret?"])),
        (FULL, &none, Ok(&all)),
        (&other_scope, &some, Ok(&["oauth.scope"])),
        (&other_endpoint, &some, Ok(&["oauth.token_url", "oauth.client_secret"])),
        ("  oauth: {}\n", &some, Ok(&all)),
        ("  oauth: {}\n", &none, Ok(&[])),
        // What has no value, and what would follow to another address.
        (&without, &none, Err(1)),
        (&unchanged, &none, Err(1)),
        (&other_endpoint.replace(", client_secret: s3cr3t", ""), &some, Err(1)),
        ("", &elsewhere, Err(1)),
        (&unchanged, &elsewhere, Err(1)),
        (FULL, &elsewhere, Ok(&["oauth.client_secret"])),
        ("  oauth:\n", &elsewhere, Ok(&all)),
    ];
    for (more, held, expected) in cases {
        let expected = expected.map(|fields: &[&str]| fields.iter().map(|&field| field.to_owned()).collect());
        assert_eq!(changed(more, held), expected, "{more}");
    }
    assert_eq!(wanted(&manifest(FULL).upstreams[0]).unwrap().client_secret, "s3cr3t");
    assert_eq!(wanted(&manifest("  oauth: {}\n").upstreams[0]), None);
}

#[test]
fn half_of_the_settings_and_words_that_mean_nothing_are_mistakes() {
    for (oauth, mistakes) in [
        ("{client_id: gw}", 1),
        ("{client_secret: s3cr3t}", 2),
        ("{token_url: 'https://l/token', client_id: gw, auth_method: private_key_jwt}", 1),
        ("{token_url: 'https://l/token', client_id: gw, secret: s3cr3t}", 1),
        ("s3cr3t", 1),
    ] {
        let text = format!("upstreams:\n- domain: a\n  url: https://a/mcp\n  oauth: {oauth}\n");
        let (_, found) = read::manifest(&[("f".to_owned(), text)]);
        assert!(found.len() == mistakes && !format!("{found:?}").contains("s3cr3t"), "{oauth}: {found:?}");
    }
}
