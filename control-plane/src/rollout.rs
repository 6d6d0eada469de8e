//! Who gets which version while a rollout is under way: a pure decision.
//!
//! A rollout keeps the nodes that do not have a label at a baseline version, so that what is changed meanwhile
//! reaches the others first. It is state of the store ([`crate::store`]): every control plane enforces the same.
//!
//! | rollout | the node's label | the node holds | it is to serve |
//! |---|---|---|---|
//! | none | any | anything | the newest |
//! | under way | has it | anything | the newest |
//! | under way | lacks it | nothing, or a version of another store | the baseline |
//! | under way | lacks it | a version before the baseline | the baseline |
//! | under way | lacks it | the baseline or a later version | what it holds |

use std::collections::BTreeMap;
use std::fmt;

use toolplane_registry::Version;

use crate::store::Millis;

/// Longest label and value, in bytes: as long as a node may have.
const MAX_TEXT: usize = 256;

/// The label that makes a node a canary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Canary {
    label: String,
    value: String,
}

/// A rollout under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rollout {
    /// Made when it began; serves as etag.
    pub etag: String,
    /// Who gets newer versions.
    pub canary: Canary,
    /// What all others are kept at.
    pub baseline: u64,
    /// Who began it.
    pub actor: String,
    /// When.
    pub started_at: Millis,
    /// How many of the baseline's upstreams are still registered: with the etag it tells whether two baselines are
    /// the same.
    pub upstreams: usize,
}

/// What a node is to serve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The newest version.
    Newest,
    /// The version that the rollout keeps it at.
    Baseline,
    /// What it holds: versions never go backwards.
    Held,
}

// ---- Canary ----

impl Canary {
    /// A label with its value.
    ///
    /// # Errors
    ///
    /// Says what is wrong with one of them.
    pub fn new(label: &str, value: &str) -> Result<Self, String> {
        for (name, text) in [("label", label), ("value", value)] {
            if text.trim() != text || text.is_empty() {
                return Err(format!("the {name} must not be empty nor begin or end with a space"));
            }
            if text.len() > MAX_TEXT || text.contains(char::is_control) {
                return Err(format!(
                    "the {name} must be at most {MAX_TEXT} bytes without control characters"
                ));
            }
        }
        if label.contains(['=', ',']) || value.contains(',') {
            return Err("no node has a label with `=` or `,` in it".to_owned());
        }
        Ok(Self { label: label.to_owned(), value: value.to_owned() })
    }

    /// The label's name.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The value it must have.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Whether a node with these labels is meant.
    pub fn is(&self, labels: &BTreeMap<String, String>) -> bool {
        labels.get(&self.label) == Some(&self.value)
    }
}

impl fmt::Display for Canary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.label, self.value)
    }
}

// ---- Rollout ----

impl Rollout {
    /// Whether it keeps nodes with these labels from a version that others get.
    pub fn holds_back(&self, labels: &BTreeMap<String, String>, number: u64) -> bool {
        number > self.baseline && !self.canary.is(labels)
    }
}

/// What a node is to serve, given its labels and what it holds. `store_id` is the store's own.
pub fn target(
    rollout: Option<&Rollout>,
    store_id: &str,
    labels: &BTreeMap<String, String>,
    held: &Version,
) -> Target {
    match rollout {
        None => Target::Newest,
        Some(rollout) if rollout.canary.is(labels) => Target::Newest,
        Some(rollout) => {
            let comparable = !held.is_none() && held.store_id() == store_id;
            if comparable && held.number() >= rollout.baseline { Target::Held } else { Target::Baseline }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout() -> Rollout {
        Rollout {
            etag: "e".to_owned(),
            canary: Canary::new("ring", "canary").unwrap(),
            baseline: 5,
            actor: "tok_1".to_owned(),
            started_at: 0,
            upstreams: 1,
        }
    }

    fn labels(labels: &[(&str, &str)]) -> BTreeMap<String, String> {
        labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_canaries_get_newer_versions_and_nobody_goes_back() {
        use Target::{Baseline, Held, Newest};
        let canary = labels(&[("zone", "a"), ("ring", "canary")]);
        let others = [labels(&[]), labels(&[("ring", "stable")]), labels(&[("canary", "ring")])];
        let holdings = [
            (Version::none(), Baseline),
            (Version::new("s", 4), Baseline),
            (Version::new("s", 5), Held),
            (Version::new("s", 6), Held),
            (Version::new("restored", 9), Baseline),
            (Version::new("restored", 0), Baseline),
        ];
        let rollout = rollout();
        for (held, expected) in holdings {
            assert_eq!(target(Some(&rollout), "s", &canary, &held), Newest, "canary with {held:?}");
            for labels in &others {
                assert_eq!(target(None, "s", labels, &held), Newest, "{labels:?} without a rollout");
                assert_eq!(target(Some(&rollout), "s", labels, &held), expected, "{labels:?} with {held:?}");
            }
        }
    }

    #[test]
    fn the_baseline_itself_is_held_back_from_nobody() {
        let (rollout, none) = (rollout(), labels(&[]));
        let told: Vec<bool> = [4, 5, 6].map(|number| rollout.holds_back(&none, number)).into();
        assert_eq!(told, [false, false, true]);
        assert!(!rollout.holds_back(&labels(&[("ring", "canary")]), 6));
    }

    #[test]
    fn a_selector_that_no_node_can_match_is_refused() {
        let long = "x".repeat(257);
        for (label, value) in [
            ("", "v"),
            ("l", ""),
            (" l", "v"),
            ("l", "v "),
            ("a=b", "v"),
            ("l", "a,b"),
            (&long, "v"),
            ("l", "\n"),
        ] {
            assert!(Canary::new(label, value).is_err(), "{label:?}={value:?}");
        }
        assert_eq!(Canary::new("ring", "a=b").unwrap().to_string(), "ring=a=b");
    }
}
