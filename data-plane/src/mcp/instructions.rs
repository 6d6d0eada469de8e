//! What a client is told when it connects: which domains there are and how to go on.

use std::fmt::Write as _;

use toolplane_registry::View;

const WORKFLOW: &str = "\
How to work with it:
1. `discover_tools` with a `domain`, or with a `query`, lists tools; `format=\"signatures\"` shows their parameters.
2. `get_tool_schema` shows one tool in full, where the signature is not enough.
3. `execute_tool` runs it.
A tool that is already known can be executed right away.";

/// Written anew for each snapshot and caller.
pub(crate) fn instructions(view: &View) -> String {
    let mut text = if view.is_empty() {
        String::from("This gateway leads to tools of other servers; at present it has none to offer.\n")
    } else {
        String::from("This gateway leads to tools of other servers, by domain:\n\n")
    };
    for domain in view.domains() {
        let Some(mut entries) = view.domain(domain.as_str()) else { continue };
        let count = entries.len();
        let description = entries.next().map_or("", |entry| entry.domain().description());
        let dash = if description.is_empty() { "" } else { " — " };
        // Writing to a string cannot fail.
        writeln!(text, "- **{domain}** ({count} tools){dash}{description}").unwrap_or_default();
    }
    text.push('\n');
    text.push_str(WORKFLOW);
    text
}

#[cfg(test)]
mod tests {
    use toolplane_registry::snapshot::{Builder, DomainSnapshot, Endpoint};
    use toolplane_registry::test_util::{a_domain, a_tool};
    use toolplane_registry::{Domain, Version};

    use super::*;

    #[test]
    fn domains_are_listed_with_counts_and_descriptions() {
        let described = DomainSnapshot::new(
            Domain::parse("linear").unwrap(),
            "Issue tracker".to_owned(),
            Endpoint::plain("http://h/mcp"),
            vec![a_tool("a").into(), a_tool("b").into()],
        );
        let snapshot = Builder::new(Version::new("s", 1))
            .domain(described)
            .domain(a_domain("echo", vec![a_tool("c")]))
            .domain(a_domain("empty", vec![]))
            .build()
            .unwrap();
        let text = instructions(snapshot.all());
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("- **")).collect();
        assert_eq!(lines, ["- **echo** (1 tools)", "- **linear** (2 tools) — Issue tracker"]);
        assert!(instructions(&View::default()).contains("none to offer"));
    }
}
