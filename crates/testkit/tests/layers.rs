//! ARCHITECTURE.md as a test: which crate may depend on which.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Every crate of the workspace and the crates it may use; `toolplane-testkit` besides, in tests only.
const ALLOWED: [(&str, &[&str]); 11] = [
    ("toolplane-registry", &[]),
    ("toolplane-sandbox", &[]),
    ("toolplane-seal", &[]),
    ("toolplane-proto", &["toolplane-registry"]),
    ("toolplane-tls", &["toolplane-registry"]),
    ("toolplane-upstream", &["toolplane-registry"]),
    (
        "toolplane-control-plane",
        &["toolplane-proto", "toolplane-registry", "toolplane-seal", "toolplane-tls", "toolplane-upstream"],
    ),
    (
        "toolplane-data-plane",
        &[
            "toolplane-proto",
            "toolplane-registry",
            "toolplane-sandbox",
            "toolplane-seal",
            "toolplane-tls",
            "toolplane-upstream",
        ],
    ),
    (
        "toolplane",
        &[
            "toolplane-control-plane",
            "toolplane-data-plane",
            "toolplane-proto",
            "toolplane-registry",
            "toolplane-sandbox",
            "toolplane-seal",
            "toolplane-tls",
            "toolplane-upstream",
        ],
    ),
    // Fakes speak the wire, but know neither plane.
    ("toolplane-testkit", &["toolplane-proto", "toolplane-registry", "toolplane-seal"]),
    // It measures processes from outside, with the fakes of the tests around them.
    (BENCH, &["toolplane-proto"]),
];

const BENCH: &str = "toolplane-bench";

const TESTKIT: &str = "toolplane-testkit";

/// A dependency of one crate of ours on another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Edge {
    from: String,
    to: String,
    in_tests: bool,
}

fn edges() -> BTreeMap<String, BTreeSet<Edge>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo writes JSON");
    let text = |value: &Value, key: &str| value[key].as_str().map(str::to_owned);
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let from = text(package, "name").expect("a name");
            let dependencies = package["dependencies"].as_array().expect("dependencies").iter();
            // What has a path is ours.
            let ours = dependencies.filter(|dependency| dependency["path"].is_string());
            let edges = ours.map(|dependency| Edge {
                from: from.clone(),
                to: text(dependency, "name").expect("a name"),
                in_tests: dependency["kind"] == "dev",
            });
            (from.clone(), edges.collect())
        })
        .collect()
}

#[test]
fn arrows_point_down_only() {
    let mut wrong = Vec::new();
    for (package, edges) in edges() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package) else {
            wrong.push(format!("`{package}` is not in the table of this test"));
            continue;
        };
        for edge in edges {
            let is_fine = match (edge.to.as_str(), edge.in_tests) {
                (TESTKIT, in_tests) => in_tests || package == BENCH,
                // A crate may turn on its own or a lower crate's test features.
                (to, true) => allowed.contains(&to) || to == edge.from,
                (to, false) => allowed.contains(&to),
            };
            if !is_fine {
                wrong.push(format!("{edge:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_planes_never_see_each_other() {
    let edges = edges();
    let reachable = |start: &str| {
        let (mut seen, mut left) = (BTreeSet::new(), vec![start.to_owned()]);
        while let Some(package) = left.pop() {
            for edge in edges.get(&package).into_iter().flatten() {
                if seen.insert(edge.to.clone()) {
                    left.push(edge.to.clone());
                }
            }
        }
        seen
    };
    assert!(!reachable("toolplane-control-plane").contains("toolplane-data-plane"));
    assert!(!reachable("toolplane-data-plane").contains("toolplane-control-plane"));
}

#[test]
fn the_table_names_no_crate_that_is_gone() {
    let edges = edges();
    for (package, _) in ALLOWED {
        assert!(edges.contains_key(package), "{package}");
    }
}
