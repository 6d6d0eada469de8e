//! `discover_tools`: which tools there are, from the summary down to one group, or by keyword.
//!
//! Precedence: a query that is not blank, then no domain (the summary), then domain and group, then domain.

use std::collections::BTreeSet;

use serde::Serialize;
use toolplane_registry::View;
use toolplane_registry::search::{self, ByName};
use toolplane_registry::signature;
use toolplane_registry::view::Entry;

use super::arguments::{Discover, Format};
use super::error::Error;
use super::kept;
use super::reply::Reply;
use super::text::to_text;
use crate::caller::Caller;
use crate::code_mode::Bindings;
use crate::hooks::visibility::Scope;
use crate::live::Served;

/// A text and how many things it lists.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) text: String,
    pub(crate) count: usize,
}

#[derive(Serialize)]
struct Summary<'a> {
    domains: Vec<DomainLine<'a>>,
    total_tools: usize,
}

#[derive(Serialize)]
struct DomainLine<'a> {
    name: &'a str,
    description: &'a str,
    tool_count: usize,
    groups: BTreeSet<&'a str>,
}

#[derive(Serialize)]
struct InDomain<'a> {
    domain: &'a str,
    tools: Vec<ToolInDomain<'a>>,
}

#[derive(Serialize)]
struct ToolInDomain<'a> {
    name: &'a str,
    group: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct InGroup<'a> {
    domain: &'a str,
    group: &'a str,
    tools: Vec<ToolInGroup<'a>>,
}

#[derive(Serialize)]
struct ToolInGroup<'a> {
    name: &'a str,
    description: &'a str,
}

#[derive(Serialize)]
struct Hits<'a> {
    query: &'a str,
    results: Vec<Hit<'a>>,
}

#[derive(Serialize)]
struct Hit<'a> {
    name: &'a str,
    domain: &'a str,
    group: &'a str,
    description: &'a str,
}

/// Answers from what the caller sees, having asked no further than the arguments reach; and how many things that lists.
pub(crate) async fn answer(
    caller: &Caller,
    served: &Served,
    arguments: &Discover,
    is_for_code: bool,
) -> Result<(Reply, usize), Error> {
    let is_for_code = is_for_code && arguments.format == Some(Format::Signatures);
    // What a program calls a tool depends on everything that its caller sees.
    let scope = if is_for_code { Scope::All } else { scope(arguments) };
    let view = caller.view(served, scope).await?;
    match kept::discovered(&view, arguments, is_for_code) {
        // Which domains there are instead takes a look at all of them.
        Err(Error::DomainNotFound { .. }) if view.is_part() => {
            kept::discovered(&*caller.view(served, Scope::All).await?, arguments, is_for_code)
        }
        other => other,
    }
}

fn scope(arguments: &Discover) -> Scope<'_> {
    match (arguments.query(), arguments.domain.as_deref()) {
        (Some(query), _) => Scope::Search(query),
        (None, Some(domain)) => Scope::Domain(domain),
        (None, None) => Scope::All,
    }
}

/// Answers from what the caller sees; signatures are as programs call them, where it is for these.
pub(crate) fn discover(view: &View, arguments: &Discover, is_for_code: bool) -> Result<Found, Error> {
    let Discover { domain, group, query: _, format } = arguments;
    let format = format.unwrap_or_default();
    let bindings = is_for_code.then(|| Bindings::of(view));
    if let Some(query) = arguments.query() {
        return Ok(search(view, query, format, bindings));
    }
    let Some(domain) = domain.as_deref() else { return Ok(summary(view)) };
    let entries: Vec<&Entry> = view
        .domain(domain)
        .ok_or_else(|| Error::DomainNotFound { domain: domain.to_owned(), available: domain_names(view) })?
        .collect();
    match group.as_deref() {
        None => Ok(in_domain(domain, &entries, format, bindings)),
        Some(group) => in_group((domain, group), &entries, format, bindings),
    }
}

fn search(view: &View, query: &str, format: Format, bindings: Option<Bindings<'_>>) -> Found {
    let hits = search::find(view, query, &ByName);
    if format == Format::Signatures {
        return signatures(&hits, bindings);
    }
    let results = hits.iter().map(|entry| Hit {
        name: entry.name(),
        domain: entry.domain().domain().as_str(),
        group: group_of(entry),
        description: &entry.tool().description,
    });
    let text = to_text(&Hits { query, results: results.collect() });
    Found { text, count: hits.len() }
}

fn summary(view: &View) -> Found {
    let domains: Vec<DomainLine<'_>> = view
        .domains()
        .filter_map(|domain| {
            let entries: Vec<&Entry> = view.domain(domain.as_str())?.collect();
            Some(DomainLine {
                name: domain.as_str(),
                description: entries.first()?.domain().description(),
                tool_count: entries.len(),
                groups: entries.iter().map(|entry| group_of(entry)).collect(),
            })
        })
        .collect();
    let count = domains.len();
    Found { text: to_text(&Summary { domains, total_tools: view.len() }), count }
}

fn in_domain(domain: &str, entries: &[&Entry], format: Format, bindings: Option<Bindings<'_>>) -> Found {
    if format == Format::Signatures {
        return signatures(entries, bindings);
    }
    let tools = entries.iter().map(|entry| ToolInDomain {
        name: entry.name(),
        group: group_of(entry),
        description: &entry.tool().description,
    });
    let text = to_text(&InDomain { domain, tools: tools.collect() });
    Found { text, count: entries.len() }
}

fn in_group(
    (domain, group): (&str, &str),
    entries: &[&Entry],
    format: Format,
    bindings: Option<Bindings<'_>>,
) -> Result<Found, Error> {
    let members: Vec<&Entry> = entries.iter().copied().filter(|entry| group_of(entry) == group).collect();
    if members.is_empty() {
        let available: BTreeSet<&str> = entries.iter().map(|entry| group_of(entry)).collect();
        return Err(Error::GroupNotFound {
            domain: domain.to_owned(),
            group: group.to_owned(),
            available: available.into_iter().map(ToOwned::to_owned).collect(),
        });
    }
    if format == Format::Signatures {
        return Ok(signatures(&members, bindings));
    }
    let tools = members
        .iter()
        .map(|entry| ToolInGroup { name: entry.name(), description: &entry.tool().description });
    let text = to_text(&InGroup { domain, group, tools: tools.collect() });
    Ok(Found { text, count: members.len() })
}

fn signatures(entries: &[&Entry], bindings: Option<Bindings<'_>>) -> Found {
    let line = |entry: &&Entry| {
        let published = entry.name();
        let identifier = bindings.map_or(published, |bindings| bindings.identifier(published));
        let rendered = signature::render(identifier, entry.tool());
        // Everything but a program calls it by its published name.
        if identifier == published {
            rendered
        } else {
            format!("{rendered}\n  (execute_tool: `{published}`)")
        }
    };
    let lines: Vec<String> = entries.iter().map(line).collect();
    Found { text: lines.join("\n\n"), count: entries.len() }
}

fn domain_names(view: &View) -> Vec<String> {
    view.domains().map(ToString::to_string).collect()
}

fn group_of(entry: &Entry) -> &str {
    entry.tool().group.as_str()
}

#[cfg(test)]
mod tests {
    use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint};
    use toolplane_registry::test_util::{a_domain, a_tool};
    use toolplane_registry::{Domain, Snapshot, Version};

    use super::*;

    fn snapshot() -> Snapshot {
        let apollo = a_domain("apollo", vec![a_tool("apollo_people_search"), a_tool("search")]);
        let empty = DomainSnapshot::new(
            Domain::parse("empty").unwrap(),
            "nothing".to_owned(),
            Endpoint::plain("http://h/mcp"),
            Vec::new(),
        );
        Builder::new(Version::new("s", 1))
            .domain(apollo)
            .domain(empty)
            .domain(a_domain("linear", vec![a_tool("list_issues")]))
            .build()
            .unwrap()
    }

    fn ask(domain: Option<&str>, group: Option<&str>, query: Option<&str>) -> Result<Found, Error> {
        let own = |text: Option<&str>| text.map(ToOwned::to_owned);
        let arguments = Discover { domain: own(domain), group: own(group), query: own(query), format: None };
        discover(snapshot().all(), &arguments, false)
    }

    #[test]
    fn the_summary_lists_domains_that_have_tools() {
        let expected = r#"{"domains": [{"name": "apollo", "description": "", "tool_count": 2, "groups": ["general", "people"]}, {"name": "linear", "description": "", "tool_count": 1, "groups": ["general"]}], "total_tools": 3}"#;
        for query in [None, Some(""), Some(" \t")] {
            assert_eq!(ask(None, Some("ignored"), query).unwrap().text, expected);
        }
    }

    #[test]
    fn a_query_beats_domain_and_group() {
        let found = ask(Some("nope"), Some("nope"), Some("issues")).unwrap();
        assert_eq!(
            found.text,
            r#"{"query": "issues", "results": [{"name": "list_issues", "domain": "linear", "group": "general", "description": "Does list_issues."}]}"#
        );
        assert_eq!(ask(None, None, Some("zzz")).unwrap().text, r#"{"query": "zzz", "results": []}"#);
    }

    #[test]
    fn domain_and_group_narrow() {
        assert_eq!(
            ask(Some("apollo"), Some("people"), None).unwrap().text,
            r#"{"domain": "apollo", "group": "people", "tools": [{"name": "apollo_people_search", "description": "Does apollo_people_search."}]}"#
        );
        assert_eq!(
            ask(Some("linear"), None, Some(" ")).unwrap().text,
            r#"{"domain": "linear", "tools": [{"name": "list_issues", "group": "general", "description": "Does list_issues."}]}"#
        );
    }

    #[test]
    fn unknown_domains_come_before_unknown_groups() {
        assert_eq!(ask(Some("nope"), Some("people"), None).unwrap_err().code(), "domain_not_found");
        assert_eq!(ask(Some(""), None, None).unwrap_err().code(), "domain_not_found");
        let Err(Error::GroupNotFound { available, .. }) = ask(Some("apollo"), Some("nope"), None) else {
            panic!("the group is unknown");
        };
        assert_eq!(available, ["general", "people"]);
    }

    #[test]
    fn signatures_replace_json_except_in_the_summary() {
        let arguments = |query: Option<&str>| Discover {
            query: query.map(ToOwned::to_owned),
            format: Some(Format::Signatures),
            ..Discover::default()
        };
        let snapshot = snapshot();
        assert!(discover(snapshot.all(), &arguments(None), false).unwrap().text.starts_with('{'));
        assert_eq!(discover(snapshot.all(), &arguments(Some("zzz")), false).unwrap().text, "");
        let text = discover(snapshot.all(), &arguments(Some("search")), false).unwrap().text;
        assert_eq!(text.split("\n\n").count(), 2);
    }
}
