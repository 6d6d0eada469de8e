//! Builds a snapshot from domains, or from a held one and its changes, and checks it before anybody sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{DomainSnapshot, Settings, Snapshot, whole_digest};
use crate::{Digest, Domain, Rejection, Rule, Tool, Version, View};

/// Collects the parts of a snapshot.
#[derive(Debug)]
pub struct Builder {
    version: Version,
    settings: Settings,
    domains: BTreeMap<Domain, Arc<DomainSnapshot>>,
    expected: Option<Digest>,
    rejections: Vec<Rejection>,
}

impl Builder {
    /// Starts from nothing.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            settings: Settings::default(),
            domains: BTreeMap::new(),
            expected: None,
            rejections: Vec::new(),
        }
    }

    /// Starts from what is held already, for applying a change.
    pub fn from_held(held: &Snapshot, version: Version) -> Self {
        Self { settings: held.settings.clone(), domains: held.domains.clone(), ..Self::new(version) }
    }

    /// Sets the fleet's settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds or replaces a domain.
    #[must_use]
    pub fn domain(self, entry: DomainSnapshot) -> Self {
        self.shared(Arc::new(entry))
    }

    /// Adds or replaces a domain that something else holds too.
    #[must_use]
    pub fn shared(mut self, entry: Arc<DomainSnapshot>) -> Self {
        self.domains.insert(entry.domain().clone(), entry);
        self
    }

    /// Removes a domain; it must be there.
    #[must_use]
    pub fn remove(mut self, domain: &Domain) -> Self {
        if self.domains.remove(domain).is_none() {
            self.rejections.push(Rejection::new(
                format!("domain `{domain}`"),
                // Whoever says so is wrong about what is held, as with a digest that does not match.
                Rule::Digest,
                "is to be removed but is not held",
            ));
        }
        self
    }

    /// The digest the whole must have.
    #[must_use]
    pub fn expect_digest(mut self, digest: Digest) -> Self {
        self.expected = Some(digest);
        self
    }

    /// Checks everything and freezes it; all mistakes are reported together.
    pub fn build(self) -> Result<Snapshot, Vec<Rejection>> {
        let Self { version, settings, domains, expected, mut rejections } = self;
        for entry in domains.values() {
            check_domain(entry, &mut rejections);
        }
        let digest = whole_digest(&settings, domains.iter().map(|(domain, entry)| (domain, entry.digest())));
        if expected.is_some_and(|expected| expected != digest) {
            rejections.push(Rejection::new(
                format!("snapshot {version}"),
                Rule::Digest,
                "the digest of the whole does not match its content",
            ));
        }
        if !rejections.is_empty() {
            return Err(rejections);
        }
        let all = View::build(&domains, &|_, _| true);
        Ok(Snapshot { version, digest, settings, domains, all })
    }
}

fn check_domain(entry: &DomainSnapshot, rejections: &mut Vec<Rejection>) {
    let mut seen = BTreeSet::new();
    for tool in entry.tools() {
        if !seen.insert(&tool.original_name) {
            rejections.push(Rejection::new(
                Tool::subject(entry.domain(), tool.original_name.as_str()),
                Rule::Duplicate,
                "appears twice",
            ));
        }
        if !tool.input_schema.as_str().starts_with('{') {
            rejections.push(Rejection::new(
                Tool::subject(entry.domain(), tool.original_name.as_str()),
                Rule::Schema,
                "the input schema is not an object",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_util::{a_domain, a_tool};

    #[test]
    fn a_change_applied_to_a_held_snapshot_equals_building_anew() {
        let a = Arc::new(a_domain("a", vec![a_tool("search")]));
        let b = Arc::new(a_domain("b", vec![a_tool("find")]));
        let b2 = Arc::new(a_domain("b", vec![a_tool("find"), a_tool("get")]));
        let held = Builder::new(Version::new("s", 1)).shared(Arc::clone(&a)).shared(b).build().unwrap();
        let anew = Builder::new(Version::new("s", 2)).shared(Arc::clone(&b2)).build().unwrap();
        let applied = Builder::from_held(&held, Version::new("s", 2))
            .shared(b2)
            .remove(a.domain())
            .expect_digest(anew.digest())
            .build()
            .unwrap();
        assert_eq!(applied.digest(), anew.digest());
        assert_ne!(applied.digest(), held.digest());
    }

    #[test]
    fn contradictions_are_reported_together() {
        let twice = a_domain("a", vec![a_tool("x"), a_tool("x")]);
        let rejections = Builder::new(Version::new("s", 1))
            .domain(twice)
            .remove(&Domain::parse("b").unwrap())
            .expect_digest(Digest::of(b"other"))
            .build()
            .unwrap_err();
        let rules: Vec<_> = rejections.iter().map(|r| r.rule).collect();
        assert_eq!(rules, [Rule::Digest, Rule::Duplicate, Rule::Digest]);
    }
}
