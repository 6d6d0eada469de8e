//! How versions are shown.

use serde::Serialize;
use toolplane_proto::{admin as wire, sync};

use crate::commands::policy;
use crate::commands::upstream::view::filled;
use crate::output::{Table, table};

/// A version in a list.
#[derive(Debug, Serialize)]
pub(super) struct Snapshot {
    version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    create_time: Option<String>,
    actor: String,
    summary: String,
    domains: u32,
    tools: u32,
    restorable: bool,
    refusals: Vec<Refusal>,
}

#[derive(Debug, Serialize)]
struct Refusal {
    node_id: String,
    time: Option<String>,
    rejections: Vec<String>,
}

/// A version with what it holds.
#[derive(Debug, Serialize)]
pub(super) struct Content {
    #[serde(flatten)]
    snapshot: Snapshot,
    offers: Vec<Domain>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<policy::View>,
}

#[derive(Debug, Serialize)]
struct Domain {
    domain: String,
    tools: Vec<String>,
}

/// What two versions do not have in common.
#[derive(Debug, Serialize)]
pub(super) struct Diff {
    from: u64,
    to: u64,
    domains: Vec<DomainDiff>,
    policy_changed: bool,
}

#[derive(Debug, Serialize)]
struct DomainDiff {
    domain: String,
    change: &'static str,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<String>,
}

// ---- from the wire ----

impl From<wire::Snapshot> for Snapshot {
    fn from(snapshot: wire::Snapshot) -> Self {
        let wire::Snapshot {
            version,
            digest,
            create_time,
            actor,
            summary,
            domain_count,
            tool_count,
            restorable,
            refusals,
        } = snapshot;
        let refusals = refusals.into_iter().map(|wire::Refusal { node_id, time, rejections }| Refusal {
            node_id,
            time: time.map(|time| time.to_string()),
            rejections: reasons(rejections),
        });
        Self {
            version: version.map_or(0, |version| version.number),
            digest: filled(digest),
            create_time: create_time.map(|time| time.to_string()),
            actor,
            summary,
            domains: domain_count,
            tools: tool_count,
            restorable,
            refusals: refusals.collect(),
        }
    }
}

impl From<wire::SnapshotContent> for Content {
    fn from(content: wire::SnapshotContent) -> Self {
        let wire::SnapshotContent { snapshot, domains, policy } = content;
        let domains =
            domains.into_iter().map(|wire::SnapshotDomain { domain, tools }| Domain { domain, tools });
        Self {
            snapshot: snapshot.unwrap_or_default().into(),
            offers: domains.collect(),
            policy: policy.filter(|policy| policy.explicit).map(policy::View::from),
        }
    }
}

impl From<wire::DiffSnapshotsResponse> for Diff {
    fn from(diff: wire::DiffSnapshotsResponse) -> Self {
        let wire::DiffSnapshotsResponse { from, to, domains, policy_changed, policy_from: _, policy_to: _ } =
            diff;
        let domains = domains.into_iter().map(|diff| DomainDiff {
            change: match diff.change() {
                wire::DomainChange::Added => "added",
                wire::DomainChange::Removed => "removed",
                wire::DomainChange::Tools | wire::DomainChange::Unspecified => "tools",
            },
            domain: diff.domain,
            added: diff.added,
            removed: diff.removed,
            changed: diff.changed,
        });
        Self { from, to, domains: domains.collect(), policy_changed }
    }
}

pub(super) fn reasons(rejections: Vec<sync::Rejection>) -> Vec<String> {
    rejections.into_iter().map(|one| format!("{}: {}", one.subject, one.reason)).collect()
}

// ---- for people ----

/// One line per version.
pub(super) fn table(snapshots: &[Snapshot]) -> String {
    let mut table = Table::new(&["VERSION", "TIME", "DOMAINS", "TOOLS", "REFUSED BY", "ACTOR", "CHANGE"]);
    for one in snapshots {
        let count = |count: u32| if one.digest.is_some() { count.to_string() } else { "–".to_owned() };
        let refused: Vec<&str> = one.refusals.iter().map(|refusal| refusal.node_id.as_str()).collect();
        table.row([
            format!("v{}", one.version),
            one.create_time.clone().unwrap_or_default(),
            count(one.domains),
            count(one.tools),
            refused.join(", "),
            one.actor.clone(),
            one.summary.clone(),
        ]);
    }
    table.render("there are no versions yet")
}

impl Content {
    /// Everything about one version.
    pub(super) fn details(&self) -> String {
        let Self { snapshot, offers, policy } = self;
        let tools = offers.iter().map(|domain| format!("{}: {}", domain.domain, domain.tools.join(", ")));
        let refusals = snapshot
            .refusals
            .iter()
            .map(|refusal| format!("{}: {}", refusal.node_id, refusal.rejections.join("; ")));
        table::details(&[
            ("version", format!("v{}", snapshot.version)),
            ("digest", snapshot.digest.clone().unwrap_or_else(|| "never published".to_owned())),
            ("time", snapshot.create_time.clone().unwrap_or_default()),
            ("actor", snapshot.actor.clone()),
            ("change", snapshot.summary.clone()),
            ("refused by", refusals.collect::<Vec<_>>().join("\n")),
            ("policy", policy.as_ref().map(policy::View::table).unwrap_or_default()),
            ("tools", tools.collect::<Vec<_>>().join("\n")),
        ])
    }
}

impl Diff {
    /// One line per domain that differs.
    pub(super) fn table(&self) -> String {
        let Self { from, to, domains, policy_changed } = self;
        let mut table = Table::new(&["DOMAIN", "CHANGE", "TOOLS"]);
        for diff in domains {
            let signed = [("+", &diff.added), ("-", &diff.removed), ("~", &diff.changed)];
            let tools: Vec<String> = signed
                .into_iter()
                .flat_map(|(sign, names)| names.iter().map(move |name| format!("{sign}{name}")))
                .collect();
            // Not cut as a cell would be: a tool that is not shown is what somebody is looking for.
            for (index, tools) in tools.chunks(4).enumerate() {
                let (domain, change) =
                    if index == 0 { (diff.domain.as_str(), diff.change) } else { ("", "") };
                table.row([domain.to_owned(), change.to_owned(), tools.join(" ")]);
            }
            if tools.is_empty() {
                table.row([diff.domain.clone(), diff.change.to_owned(), String::new()]);
            }
        }
        let mut text = table.render(&format!("v{from} and v{to} offer the same tools"));
        if *policy_changed {
            text.push_str("the access policy differs\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use prost_types::Timestamp;

    use super::*;
    use crate::commands::snapshot::samples::{rejection, version};

    fn snapshot(number: u64, digest: &str) -> wire::Snapshot {
        wire::Snapshot {
            version: Some(version(number)),
            digest: digest.into(),
            create_time: Some(Timestamp { seconds: 1_700_000_000, nanos: 0 }),
            actor: "tok_1".into(),
            summary: "upstream.update: upstream crm".into(),
            domain_count: 2,
            tool_count: 9,
            restorable: true,
            refusals: Vec::new(),
        }
    }

    #[test]
    fn versions_are_listed_with_who_refused_them() {
        let refusal = wire::Refusal { node_id: "edge-7".into(), time: None, rejections: vec![rejection()] };
        let refused = wire::Snapshot { refusals: vec![refusal], ..snapshot(12, &"ab".repeat(32)) };
        let snapshots = [refused, snapshot(11, ""), snapshot(10, &"cd".repeat(32))].map(Snapshot::from);
        insta::assert_snapshot!("snapshot_table", table(&snapshots));
        insta::assert_snapshot!("snapshot_json", serde_json::to_string_pretty(&snapshots[0]).unwrap());
        let content = wire::SnapshotContent {
            snapshot: Some(wire::Snapshot {
                refusals: vec![wire::Refusal {
                    node_id: "edge-7".into(),
                    time: None,
                    rejections: vec![rejection()],
                }],
                ..snapshot(12, &"ab".repeat(32))
            }),
            domains: vec![
                wire::SnapshotDomain { domain: "crm".into(), tools: vec!["add".into(), "search".into()] },
                wire::SnapshotDomain { domain: "files".into(), tools: Vec::new() },
            ],
            policy: Some(wire::Policy {
                deny: [("crm".to_owned(), wire::GlobList { globs: vec!["*_delete".into()] })].into(),
                explicit: true,
                ..wire::Policy::default()
            }),
        };
        insta::assert_snapshot!("snapshot_details", Content::from(content).details());
    }

    #[test]
    fn a_difference_names_every_tool() {
        let names = |range: std::ops::Range<u32>| range.map(|n| format!("a_tool_{n}")).collect();
        let diff = wire::DiffSnapshotsResponse {
            from: 10,
            to: 12,
            domains: vec![
                wire::DomainDiff {
                    domain: "crm".into(),
                    change: wire::DomainChange::Tools.into(),
                    added: names(0..5),
                    removed: vec!["old".into()],
                    changed: vec!["search".into()],
                },
                wire::DomainDiff {
                    domain: "empty".into(),
                    change: wire::DomainChange::Added.into(),
                    ..wire::DomainDiff::default()
                },
            ],
            policy_changed: true,
            ..wire::DiffSnapshotsResponse::default()
        };
        insta::assert_snapshot!("diff_table", Diff::from(diff).table());
        let same = wire::DiffSnapshotsResponse { from: 1, to: 2, ..wire::DiffSnapshotsResponse::default() };
        assert_eq!(Diff::from(same).table(), "v1 and v2 offer the same tools\n");
    }
}
