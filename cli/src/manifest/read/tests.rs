use super::*;

fn read(text: &str) -> (Manifest, Vec<String>) {
    let (manifest, mistakes) = manifest(&[("f".to_owned(), text.to_owned())]);
    (manifest, mistakes.iter().map(ToString::to_string).collect())
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

#[test]
fn everything_that_can_be_said_is_read() {
    let (manifest, mistakes) = read(
        "\
upstreams:
  - domain: crm
    url: http://crm:8080/mcp
    discovery_url: http://crm:8081/mcp
    description: contacts and deals
    headers:
      Authorization: {env: CRM_TOKEN}
      X-File: {file: secrets/crm}
      X-Same: {unchanged: true}
      X-Empty:
      X-Plain: 'a value'
    forward_headers: []
    allowed_tools: ['crm_*']
    denied_tools: ['*_delete']
    schema_policy: pin
    session_mode: shared
    limits: {timeout: 2.5, max_queue: 0, max_retries: default}
  - {domain: todo, url: 'https://todo.example/mcp'}
---
policy:
  allow: {crm: ['*'], todo: []}
  deny: {crm: [a, b]}
",
    );
    assert_eq!(mistakes, Vec::<String>::new());
    let [crm, todo] = &manifest.upstreams[..] else { panic!("{manifest:?}") };
    assert_eq!((crm.place.line, crm.domain.as_str(), crm.url.as_str()), (2, "crm", "http://crm:8080/mcp"));
    assert_eq!((&*crm.discovery_url, &*crm.description), ("http://crm:8081/mcp", "contacts and deals"));
    let headers: Vec<_> = crm.headers.iter().flatten().map(|h| (h.place.line, &*h.name, &h.value)).collect();
    assert_eq!(
        headers,
        [
            (7, "authorization", &Source::Env("CRM_TOKEN".into())),
            (8, "x-file", &Source::File("secrets/crm".into())),
            (9, "x-same", &Source::Unchanged),
            (10, "x-empty", &Source::Unchanged),
            (11, "x-plain", &Source::Given(Secret::new("a value".into()))),
        ]
    );
    assert_eq!(crm.forward_headers, Some(Vec::new()));
    assert_eq!(crm.allowed_tools, Some(strings(&["crm_*"])));
    assert_eq!(crm.denied_tools, strings(&["*_delete"]));
    assert_eq!((crm.schema_policy, crm.session_mode), (SchemaPolicy::Pin, SessionMode::Shared));
    assert!(todo.headers.is_none() && todo.forward_headers.is_none() && todo.allowed_tools.is_none());
    let limits = Limits {
        timeout: Some(std::time::Duration::from_millis(2500)),
        max_queue: Some(0),
        ..Limits::default()
    };
    assert_eq!((crm.limits, todo.limits), (limits, Limits::default()));
    assert_eq!((todo.schema_policy, todo.session_mode), (SchemaPolicy::Accept, SessionMode::Isolated));
    let policy = manifest.policy.unwrap();
    let access = policy.access.unwrap();
    assert_eq!((policy.place.line, access.deny["crm"].clone()), (21, strings(&["a", "b"])));
    assert_eq!(access.allow["todo"], Vec::<String>::new());
}

#[test]
fn json_is_read_as_well() {
    let (manifest, mistakes) =
        read(r#"{"upstreams": [{"domain": "a", "url": "http://a/mcp"}], "policy": null}"#);
    assert_eq!(mistakes, Vec::<String>::new());
    assert_eq!(manifest.upstreams[0].domain, "a");
    assert_eq!(manifest.policy.unwrap().access, None);
}

#[test]
fn each_mistake_is_told_with_its_line() {
    for (text, expected) in [
        ("", "f:1: holds neither `upstreams` nor `policy`"),
        ("[1]", "f:1: the document must be a map with keys among `upstreams`, `policy`, not a list"),
        ("upstreams: x", "f:1: `upstreams` must be a list, not a text"),
        ("upstream: []", "f:1: the document has no key `upstream`; did you mean `upstreams`?"),
        ("upstreams: []\nupstreams: []", "f:2: `upstreams` is given twice"),
        ("upstreams:\n- x", "f:2: an upstream must be a map with keys among `domain`, "),
        ("upstreams:\n- url: http://a/mcp", "f:2: an upstream needs `domain`"),
        ("upstreams:\n- domain: a", "f:2: an upstream needs `url`"),
        ("upstreams:\n- domain: a\n  url: ftp://a", "f:3: `url`: must begin with `http://`"),
        ("upstreams:\n- domain: a\n  url: http://169.254.169.254/", "f:3: `url`: address 169.254.169.254 is"),
        ("upstreams:\n- domain: \"a\\x01\"\n  url: http://a/", "f:2: `domain`: "),
        (
            "upstreams:\n- {domain: a, url: 'http://a/'}\n- {domain: a, url: 'http://a/'}",
            "f:3: upstream `a` is described already, at f:2",
        ),
        ("policy: {}\n---\npolicy: {}", "f:3: the policy is given already, at f:1"),
        ("policy:\n  alow: {}", "f:2: `policy` has no key `alow`"),
        ("policy:\n  deny: {a: x}", "f:2: `deny` of `a` must be a list of globs, not a text"),
        ("policy:\n  deny: [a]", "f:2: `deny` must be a map from domains to globs, not a list"),
        ("a: [", "f:1: is no YAML: "),
        ("policy: {}\n--- *x", "f:2: is no YAML: "),
    ] {
        let (_, mistakes) = read(text);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(expected), "{text:?}: {mistakes:?}");
    }
}

#[test]
fn each_wrong_field_of_an_upstream_is_told_with_its_line() {
    let before = "upstreams:\n- domain: a\n  url: http://a/mcp\n";
    for (field, expected) in [
        ("descripton: x", "4: an upstream has no key `descripton`"),
        ("denied-tools: []", "4: an upstream has no key `denied-tools`; did you mean `denied_tools`?"),
        ("description: 5", "4: `description` must be a text, not a number or truth value"),
        ("description: [x]", "4: `description` must be a text, not a list"),
        ("allowed_tools: x", "4: `allowed_tools` must be a list of globs, not a text"),
        ("allowed_tools:\n  - x\n  - {}", "6: a glob of `allowed_tools` must be a text, not a map"),
        ("schema_policy: maybe", "4: `schema_policy` is `accept` or `pin`"),
        ("limits: 5", "4: `limits` must be a map"),
        ("limits: {timeout: soon}", "4: `timeout` is a number of seconds"),
        ("limits: {max_concurrency: 0}", "4: limit `max_concurrency`"),
        ("limits: {patience: 1}", "4: `limits` has no key `patience`"),
        ("session_mode: each", "4: `session_mode` is `isolated` or `shared`"),
        ("discovery_url: x", "4: `discovery_url`: must begin with"),
        ("headers: [x]", "4: `headers` must be a map from names to values, not a list"),
        ("headers:\n    A: {env: X}\n    a: {env: Y}", "6: header `a` is given already, in line 5"),
        ("headers:\n    a: {env: X, file: y}", "5: header `a`: takes one of"),
        ("headers:\n    a: {vault: x}", "5: header `a` has no key `vault`"),
        ("headers:\n    a: {unchanged: false}", "5: header `a`: `unchanged` is `true` or left out"),
        ("headers:\n    a: [s3cr3t]", "5: header `a`: takes one of"),
    ] {
        let (_, mistakes) = read(&format!("{before}  {field}\n"));
        let expected = format!("f:{expected}");
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&expected), "{field:?}: {mistakes:?}");
        assert!(!mistakes[0].contains("s3cr3t"));
    }
}

#[test]
fn all_mistakes_of_all_files_come_at_once() {
    let first = "upstreams:\n  - domain: a\n    url: nowhere\n    descripton: x\n  - url: http://b/mcp\n";
    let second = "policy:\n  deny: 5\nupstreams:\n  - {domain: c, url: 'http://c/', session_mode: no}\n";
    let files = [("one".to_owned(), first.to_owned()), ("two".to_owned(), second.to_owned())];
    let (manifest, mut mistakes) = manifest(&files);
    mistakes.sort();
    let lines: Vec<String> = mistakes.iter().map(|mistake| mistake.place.to_string()).collect();
    assert_eq!(lines, ["one:3", "one:4", "one:5", "two:2", "two:4"], "{mistakes:?}");
    assert_eq!(manifest.upstreams.len(), 2, "what could be read is there for later checks");
}
