//! Whether this node is to serve what was changed, or a rollout keeps it at an older version.
//!
//! The control plane says which label lets a node have newer versions; the node knows its labels. Whoever waits for
//! a version asks here first, because waiting for one that is held back is in vain.

use std::collections::BTreeMap;

use toolplane_proto::sync;
use toolplane_registry::Version;

/// A change that this node does not get for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HeldBack {
    /// The version from which on the change is served.
    pub(crate) version: Version,
    /// What this node is kept at.
    pub(crate) baseline: Version,
    /// The label that nodes need to get it, `label=value`.
    pub(crate) canary: String,
}

impl HeldBack {
    /// Tells whether a version is held back from a node with these labels.
    pub(crate) fn of(
        hold: Option<sync::Hold>,
        labels: &BTreeMap<String, String>,
        version: &Version,
    ) -> Option<Self> {
        let sync::Hold { label, value, baseline } = hold?;
        let baseline = Version::from(baseline?);
        if labels.get(&label) == Some(&value) || baseline.covers(version) {
            return None;
        }
        let canary = format!("{label}={value}");
        Some(Self { version: version.clone(), baseline, canary })
    }

    /// In words.
    pub(crate) fn reason(&self) -> String {
        let Self { version, baseline, canary } = self;
        format!(
            "stored as {version}; a rollout keeps this node at {baseline} or what it held, and nodes with the label \
             `{canary}` serve it until the rollout is promoted or aborted"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_later_version_is_held_back_and_only_from_nodes_without_the_label() {
        let version = |number| Version::new("s", number);
        let hold = || {
            let baseline = Some((&version(5)).into());
            Some(sync::Hold { label: "ring".into(), value: "canary".into(), baseline })
        };
        let labels = |value: &str| BTreeMap::from([("ring".to_owned(), value.to_owned())]);
        let table = [
            (hold(), labels("stable"), 6, true),
            (hold(), BTreeMap::new(), 6, true),
            (hold(), labels("canary"), 6, false),
            (hold(), labels("stable"), 5, false),
            (hold(), labels("stable"), 4, false),
            (None, labels("stable"), 6, false),
            (Some(sync::Hold { baseline: None, ..hold().unwrap() }), labels("stable"), 6, false),
        ];
        for (hold, labels, number, expected) in table {
            let told = HeldBack::of(hold.clone(), &labels, &version(number));
            assert_eq!(told.is_some(), expected, "v{number} for {labels:?} under {hold:?}");
        }
        let told = HeldBack::of(hold(), &BTreeMap::new(), &version(6)).unwrap();
        assert!(
            told.reason().starts_with("stored as v6; a rollout keeps this node at v5"),
            "{}",
            told.reason()
        );
    }
}
