use super::super::read;
use super::*;

/// A manifest without mistakes; headers that are written out stand for those that were resolved.
fn manifest(text: &str) -> Manifest {
    let (manifest, mistakes) = read::manifest(&[("f".to_owned(), text.to_owned())]);
    assert_eq!(mistakes, [], "{text}");
    manifest
}

fn held_upstream(domain: &str) -> wire::Upstream {
    wire::Upstream {
        domain: domain.into(),
        url: format!("http://{domain}/mcp"),
        header_names: vec!["authorization".into()],
        filter: Some(wire::ToolFilter { allowed: None, denied: vec!["x".into()] }),
        schema_policy: wire::SchemaPolicy::Accept.into(),
        owner: wire::Owner::Api.into(),
        etag: "e1".into(),
        ..wire::Upstream::default()
    }
}

fn held() -> Held {
    Held { upstreams: vec![held_upstream("a")], policy: wire::Policy::default() }
}

/// The plan, one word per edit.
fn summary(plan: &Plan) -> Vec<String> {
    let fields = |edits: &[Edit]| edits.iter().map(|edit| edit.field.as_str()).collect::<Vec<_>>().join(",");
    let line = |step: &Step| match step {
        Step::SetPolicy { edits, .. } => format!("policy {}", fields(edits)),
        Step::Create { upstream, edits, .. } => format!("create {} {}", upstream.domain, fields(edits)),
        Step::Update { upstream, edits, .. } => format!("update {} {}", upstream.domain, fields(edits)),
        Step::Remove { domain, .. } => format!("remove {domain}"),
    };
    plan.steps.iter().map(line).collect()
}

const SAME: &str = "upstreams:\n- domain: a\n  url: http://a/mcp\n  denied_tools: [x]\n";

#[test]
fn only_what_differs_is_changed() {
    for (more, expected) in [
        ("", None),
        ("  headers: {authorization: {unchanged: true}}\n", None),
        ("  headers: {}\n", Some("headers")),
        ("  headers: {authorization: v}\n", Some("headers")),
        ("  headers: {authorization: v, x-key: v}\n", Some("headers")),
        ("  description: d\n", Some("description")),
        ("  discovery_url: http://b/mcp\n", Some("discovery_url")),
        ("  forward_headers: []\n", Some("forward_headers")),
        ("  allowed_tools: []\n", Some("allowed_tools")),
        ("  schema_policy: accept\n  session_mode: isolated\n", None),
        ("  limits: {timeout: default}\n", None),
        ("  limits: {timeout: 5, max_queue: 1}\n", Some("limits.timeout,limits.max_queue")),
        ("  schema_policy: pin\n  session_mode: shared\n", Some("schema_policy,session_mode")),
    ] {
        let plan = diff(&manifest(&format!("{SAME}{more}")), &held(), false).unwrap();
        let expected: Vec<String> = expected.iter().map(|fields| format!("update a {fields}")).collect();
        assert_eq!(summary(&plan), expected, "{more}");
    }
}

#[test]
fn an_update_names_the_etag_that_was_read_and_its_fields() {
    let manifest = manifest("upstreams:\n- {domain: a, url: 'http://a/mcp', allowed_tools: [y]}\n");
    let plan = diff(&manifest, &held(), false).unwrap();
    let [Step::Update { upstream, edits, .. }] = &plan.steps[..] else { panic!("{plan:?}") };
    assert_eq!(upstream.etag, "e1");
    assert_eq!(mask(edits), ["filter"]);
    let filter = upstream.filter.clone().unwrap();
    assert_eq!((filter.allowed.unwrap().globs, filter.denied.len()), (vec!["y".to_owned()], 0));
}

#[test]
fn headers_that_cannot_be_meant_are_mistakes() {
    for (text, expected) in [
        ("- {domain: a, url: 'http://new/mcp'}", "f:2: upstream `a`: a new `url` needs the values"),
        (
            "- {domain: a, url: 'http://new/mcp', headers: {authorization: }}",
            "f:2: upstream `a`: a new `url` needs the values",
        ),
        (
            "- domain: a\n  url: http://a/mcp\n  headers:\n    authorization: {unchanged: true}\n    x: v",
            "f:5: headers change as a whole: give header `authorization` its value too",
        ),
        (
            "- {domain: a, url: 'http://a/mcp', headers: {x: {unchanged: true}}}",
            "f:2: header `x` has no value that could stay unchanged",
        ),
        (
            "- {domain: new, url: 'http://a/mcp', headers: {x: {unchanged: true}}}",
            "f:2: header `x` has no value that could stay unchanged",
        ),
    ] {
        let mistakes = diff(&manifest(&format!("upstreams:\n{text}\n")), &held(), false).unwrap_err();
        let found = mistakes[0].to_string();
        assert!(mistakes.len() == 1 && found.starts_with(expected), "{text}: {mistakes:?}");
    }
}

#[test]
fn headers_that_were_given_again_are_settled_by_asking() {
    let same = manifest(&format!("{SAME}  headers: {{authorization: v}}\n"));
    let mut plan = diff(&same, &held(), false).unwrap();
    let uncertain: Vec<_> =
        plan.uncertain().map(|(upstream, fields)| (upstream.domain.clone(), fields)).collect();
    assert_eq!(uncertain, [("a".to_owned(), vec!["headers".to_owned()])]);
    plan.settle("a", &[]);
    assert!(plan.is_empty(), "{plan:?}");

    let mut plan = diff(&same, &held(), false).unwrap();
    plan.settle("a", &["headers".to_owned()]);
    assert_eq!((summary(&plan), plan.uncertain().count()), (vec!["update a headers".to_owned()], 0));

    let moved = manifest("upstreams:\n- {domain: a, url: 'http://b/', headers: {authorization: v}}\n");
    let plan = diff(&moved, &held(), false).unwrap();
    assert_eq!(plan.uncertain().count(), 0, "at a new address they are sent in any case");
    assert_eq!(summary(&plan), ["update a url,denied_tools,headers"]);
}

#[test]
fn what_no_file_lists_goes_only_with_prune_and_never_from_the_environment() {
    let environment = wire::Upstream { owner: wire::Owner::Environment.into(), ..held_upstream("fixed") };
    let held = Held { upstreams: vec![held_upstream("a"), environment], ..Held::default() };
    let none = manifest("upstreams: []\n");
    let plan = diff(&none, &held, false).unwrap();
    assert_eq!(summary(&plan), Vec::<String>::new());
    assert!(plan.notes.iter().any(|note| note.contains("`a`; `--prune`")), "{plan:?}");

    let plan = diff(&none, &held, true).unwrap();
    assert_eq!(summary(&plan), ["remove a"]);
    assert!(matches!(&plan.steps[0], Step::Remove { etag, .. } if etag == "e1"));
    assert_eq!(plan.notes, ["`fixed` belongs to the environment and stays"]);

    let policy_only = manifest("policy: {}\n");
    let plan = diff(&policy_only, &held, true).unwrap();
    assert_eq!(summary(&plan), ["policy policy"], "a file that lists no upstreams says nothing about them");
}

#[test]
fn the_policy_comes_first_and_is_compared_domain_by_domain() {
    let globs =
        |globs: &[&str]| wire::GlobList { globs: globs.iter().map(|&glob| glob.to_owned()).collect() };
    let policy = wire::Policy {
        allow: [("a".to_owned(), globs(&["*"]))].into(),
        deny: [("a".to_owned(), globs(&["x"])), ("b".to_owned(), globs(&["y"]))].into(),
        etag: "p1".into(),
        explicit: true,
        ..wire::Policy::default()
    };
    let held = Held { upstreams: Vec::new(), policy };
    for (text, expected) in [
        ("policy: {allow: {a: ['*']}, deny: {a: [x], b: [y]}}", vec![]),
        ("policy: {allow: {a: ['*']}, deny: {a: [x, z]}}", vec!["policy deny a,deny b"]),
        ("policy: null", vec!["policy policy,allow a,deny a,deny b"]),
        ("upstreams: []", vec![]),
        (
            "upstreams: [{domain: n, url: 'http://n/'}]\npolicy: {deny: {a: [x], b: [y]}}",
            vec!["policy allow a", "create n url"],
        ),
    ] {
        let plan = diff(&manifest(text), &held, false).unwrap();
        assert_eq!(summary(&plan), expected, "{text}");
        if let Some(Step::SetPolicy { etag, .. }) = plan.steps.first() {
            assert_eq!(etag, "p1");
        }
    }
}

#[test]
fn credentials_in_an_address_are_not_shown() {
    let manifest = manifest("upstreams:\n- {domain: n, url: 'http://u:s3cr3t@n/mcp?key=s3cr3t'}\n");
    let plan = diff(&manifest, &Held::default(), false).unwrap();
    let [Step::Create { upstream, edits, .. }] = &plan.steps[..] else { panic!("{plan:?}") };
    assert!(!format!("{edits:?}").contains("s3cr3t"));
    assert!(upstream.url.contains("s3cr3t"));
}
