use proptest::prelude::*;

use super::*;

fn strings(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn globs(patterns: &[&str]) -> Globs {
    Globs::compile(&strings(patterns)).unwrap()
}

fn upstream(domain: &str, owner: Owner, allowed: Option<&[&str]>, denied: &[&str]) -> Upstream {
    let filter = ToolFilter { allowed: allowed.map(strings), denied: strings(denied) };
    Upstream { filter, owner, ..Upstream::new(Domain::parse(domain).unwrap(), "http://127.0.0.1:9/mcp") }
}

fn admits(policy: &Effective, domain: &str, tool: &str) -> bool {
    policy.admits(&Domain::parse(domain).unwrap(), &ToolName::parse(tool).unwrap())
}

fn policy(allow: &[(&str, &[&str])], deny: &[(&str, &[&str])]) -> AccessPolicy {
    let map = |entries: &[(&str, &[&str])]| {
        entries.iter().map(|(domain, globs)| ((*domain).to_owned(), strings(globs))).collect()
    };
    AccessPolicy { allow: map(allow), deny: map(deny), ..AccessPolicy::default() }
}

/// The textbook definition, for comparison; exponential on purpose.
fn naive(pattern: &[char], name: &[char]) -> bool {
    match pattern {
        [] => name.is_empty(),
        ['*', rest @ ..] => (0..=name.len()).any(|cut| naive(rest, &name[cut..])),
        ['?', rest @ ..] => !name.is_empty() && naive(rest, &name[1..]),
        ['[', rest @ ..] => {
            let negated = rest.first() == Some(&'!');
            let body = &rest[usize::from(negated)..];
            let Some(end) = body.iter().skip(1).position(|c| *c == ']').map(|at| at + 1) else {
                return name.first() == Some(&'[') && naive(rest, &name[1..]);
            };
            let Some(c) = name.first() else { return false };
            let (mut at, mut found) = (0, false);
            while at < end {
                if at + 2 < end && body[at + 1] == '-' {
                    found |= (body[at]..=body[at + 2]).contains(c);
                    at += 3;
                } else {
                    found |= body[at] == *c;
                    at += 1;
                }
            }
            found != negated && naive(&body[end + 1..], &name[1..])
        }
        [c, rest @ ..] => name.first() == Some(c) && naive(rest, &name[1..]),
    }
}

#[test]
fn globs_follow_fnmatch() {
    for (pattern, name, expected) in [
        ("*_delete", "contacts_delete", true),
        ("list_issues", "list_issues_x", false),
        ("LIST_*", "list_issues", false),
        ("t?o", "two", true),
        ("t?o", "téo", true),
        ("a/*", "a/b/c", true),
        ("{a,b}", "a", false),
        ("{a,b}", "{a,b}", true),
        (r"a\*", r"a\b", true),
        ("[ab", "[ab", true),
        ("[!ab]x", "cx", true),
        ("[!ab]x", "ax", false),
        ("[]x]", "]", true),
        ("[^a]", "^", true),
        ("[z-a]", "m", false),
        ("[!z-a]", "m", true),
        ("[é-ü]", "ö", true),
        ("[&&~~]", "&", true),
        ("**", "any thing", true),
        ("a", "a\n", false),
        ("*", "a\nb", true),
        ("", "", true),
    ] {
        assert_eq!(globs(&[pattern]).is_match(name), expected, "{pattern} on {name:?}");
    }
    assert!(!globs(&[]).is_match("a"));
}

#[test]
fn oversized_globs_are_a_rejection_that_names_the_domain() {
    let long = "x".repeat(2_000);
    let rejections =
        Effective::resolve(Some(&policy(&[("a", &[&long])], &[("b", &[&long])])), &[]).unwrap_err();
    let subjects: Vec<_> = rejections.iter().map(|r| r.subject.as_str()).collect();
    assert_eq!(subjects, ["allowed tools of `a`", "denied tools of `b`"]);
}

#[test]
fn without_allow_lists_the_world_is_open() {
    let upstreams = [
        upstream("apollo", Owner::Environment, None, &["search"]),
        upstream("linear", Owner::Environment, None, &[]),
    ];
    let policy = Effective::resolve(None, &upstreams).unwrap();
    assert!(!admits(&policy, "apollo", "search"));
    assert!(
        admits(&policy, "apollo", "enrich") && admits(&policy, "linear", "x") && admits(&policy, "late", "x")
    );
}

#[test]
fn an_allow_list_of_the_environment_closes_every_domain_without_one() {
    let upstreams = [
        upstream("apollo", Owner::Environment, Some(&["*"]), &[]),
        upstream("linear", Owner::Environment, None, &[]),
        upstream("late", Owner::Api, None, &[]),
    ];
    let policy = Effective::resolve(None, &upstreams).unwrap();
    assert!(admits(&policy, "apollo", "x"));
    assert!(!admits(&policy, "linear", "x") && !admits(&policy, "late", "x"));
    let empty = Effective::resolve(None, &[upstream("a", Owner::Environment, Some(&[]), &[])]).unwrap();
    assert!(!admits(&empty, "a", "x") && !admits(&empty, "b", "x"));
}

#[test]
fn a_filter_set_through_the_api_binds_its_upstream_alone() {
    let upstreams = [upstream("late", Owner::Api, Some(&["list_*"]), &["list_secrets"])];
    let open = Effective::resolve(None, &upstreams).unwrap();
    assert!(admits(&open, "late", "list_issues") && admits(&open, "other", "x"));
    assert!(!admits(&open, "late", "create") && !admits(&open, "late", "list_secrets"));
    let explicit = policy(&[("late", &["*"])], &[]);
    let explicit = Effective::resolve(Some(&explicit), &upstreams).unwrap();
    assert!(!admits(&explicit, "late", "create"), "it holds beside an explicit policy too");
}

#[test]
fn an_explicit_policy_replaces_the_filters_of_the_environment() {
    let upstreams = [
        upstream("apollo", Owner::Environment, Some(&["apollo_org_*"]), &["search"]),
        upstream("linear", Owner::Environment, None, &[]),
    ];
    let explicit = policy(&[("linear", &["*"]), ("apollo", &["*search*"])], &[("linear", &["create_*"])]);
    let policy = Effective::resolve(Some(&explicit), &upstreams).unwrap();
    assert!(admits(&policy, "apollo", "search") && admits(&policy, "linear", "list_issues"));
    assert!(!admits(&policy, "apollo", "apollo_org_get") && !admits(&policy, "linear", "create_issue"));
    let empty = Effective::resolve(Some(&AccessPolicy::default()), &upstreams).unwrap();
    assert!(admits(&empty, "apollo", "search") && admits(&empty, "anything", "x"));
}

#[test]
fn globs_may_name_a_tool_with_its_domain() {
    let upstreams = [upstream("apollo", Owner::Environment, None, &["apollo_search"])];
    let policy = Effective::resolve(None, &upstreams).unwrap();
    assert!(!admits(&policy, "apollo", "search") && !admits(&policy, "apollo", "apollo_search"));
}

#[test]
fn a_policy_reads_from_json_and_refuses_unknown_keys() {
    let read = serde_json::from_str::<AccessPolicy>(r#"{"deny":{"linear":["create_*"]}}"#).unwrap();
    assert_eq!(read, policy(&[], &[("linear", &["create_*"])]));
    assert!(serde_json::from_str::<AccessPolicy>(r#"{"denied":{}}"#).is_err());
}

proptest! {
    #[test]
    fn globs_agree_with_the_textbook(pattern in r"[ab\[\]!*?\-^é/]{0,8}", name in r"[ab\[\]!\-^é/]{0,6}") {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        prop_assert_eq!(globs(&[&pattern]).is_match(&name), naive(&chars(&pattern), &chars(&name)));
    }

    #[test]
    fn compiling_never_panics(pattern in any::<String>(), name in any::<String>()) {
        if let Ok(globs) = Globs::compile(&[pattern]) {
            let _matched = globs.is_match(&name);
        }
    }

    #[test]
    fn deny_beats_allow(tool in "[a-z_]{1,12}", allow in "[a-z_*?]{0,6}", closed in any::<bool>()) {
        let tool_glob = [tool.as_str()];
        let allow_globs = [allow.as_str(), "*"];
        let explicit = policy(&[("a", &allow_globs)], &[("a", &tool_glob)]);
        let own = upstream("a", Owner::Api, Some(&allow_globs), &tool_glob);
        let environment = upstream("a", Owner::Environment, closed.then_some(&allow_globs), &tool_glob);
        for resolved in [
            Effective::resolve(Some(&explicit), &[]),
            Effective::resolve(None, &[own]),
            Effective::resolve(None, &[environment]),
        ] {
            prop_assert!(!admits(&resolved.unwrap(), "a", &tool));
        }
    }
}
