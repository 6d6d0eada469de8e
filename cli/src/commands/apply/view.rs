//! How a plan is shown.

use super::counted;
use crate::manifest::diff::{Edit, Plan, Step};

/// Everything that changes, and how much it is.
pub(super) fn plan(plan: &Plan) -> String {
    let mut out = String::new();
    let (mut created, mut changed, mut removed) = (0, 0, 0);
    for step in &plan.steps {
        match step {
            Step::SetPolicy { edits, .. } => {
                changed += 1;
                block(&mut out, "~ policy", edits);
            }
            Step::Create { upstream, edits, .. } => {
                created += 1;
                block(&mut out, &format!("+ upstream {}", upstream.domain), edits);
            }
            Step::Update { upstream, edits, .. } => {
                changed += 1;
                block(&mut out, &format!("~ upstream {}", upstream.domain), edits);
            }
            Step::Remove { domain, tools, .. } => {
                removed += 1;
                let tools = counted(usize::try_from(*tools).unwrap_or(usize::MAX), "tool");
                block(&mut out, &format!("- upstream {domain}, with {tools}"), &[]);
            }
        }
    }
    out + &format!("{created} to create, {changed} to change, {removed} to remove\n")
}

fn block(out: &mut String, heading: &str, edits: &[Edit]) {
    let mut line = |text: &str| out.extend([printable(text).as_str(), "\n"]);
    line(heading);
    for Edit { field, from, to, .. } in edits {
        let shown = |text: &str| if text.is_empty() { "–".to_owned() } else { text.to_owned() };
        line(&match (from.as_str(), to.as_str()) {
            (from, to) if from == to && field == "headers" => format!("    {field}: {to} (other values)"),
            (from, to) if from == to => format!("    {field}: {to} (differs in what is not shown)"),
            ("", to) => format!("    {field}: {to}"),
            (from, to) => format!("    {field}: {} → {}", shown(from), shown(to)),
        });
    }
}

/// On one line, and without a say over the terminal.
fn printable(text: &str) -> String {
    text.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect()
}

#[cfg(test)]
mod tests {
    use toolplane_proto::admin as wire;

    use super::*;
    use crate::manifest::Place;

    fn edit(field: &str, from: &str, to: &str) -> Edit {
        Edit { field: field.into(), from: from.into(), to: to.into(), uncertain: false }
    }

    fn upstream(domain: &str) -> Box<wire::Upstream> {
        Box::new(wire::Upstream { domain: domain.into(), ..wire::Upstream::default() })
    }

    #[test]
    fn a_plan_shows_what_changes_and_how() {
        let place = Place::default();
        let steps = vec![
            Step::SetPolicy {
                place: place.clone(),
                access: None,
                etag: String::new(),
                edits: vec![edit("deny crm", "", "*_delete"), edit("allow todo", "*", "")],
            },
            Step::Create {
                place: place.clone(),
                upstream: upstream("docs"),
                edits: vec![edit("url", "", "http://docs/mcp"), edit("headers", "", "authorization")],
            },
            Step::Update {
                place,
                upstream: upstream("crm"),
                edits: vec![
                    edit("url", "http://crm/mcp", "http://crm/mcp"),
                    edit("description", "old", "two\nlines\u{1b}[31m"),
                    edit("headers", "authorization", "authorization"),
                ],
            },
            Step::Remove { domain: "old".into(), etag: "e".into(), tools: 1 },
        ];
        insta::assert_snapshot!(plan(&Plan { steps, notes: Vec::new() }));
    }
}
