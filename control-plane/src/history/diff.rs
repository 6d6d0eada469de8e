//! How two versions differ, tool by tool.

use std::collections::{BTreeMap, BTreeSet};

use toolplane_registry::{Digest, Domain};

use super::Snapshot;

/// How one domain differs. Original names, sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainDiff {
    /// Which domain.
    pub domain: Domain,
    /// Whether it came, went, or has other tools.
    pub change: Change,
    /// Tools that only the newer one offers.
    pub added: Vec<String>,
    /// Tools that only the older one offers.
    pub removed: Vec<String>,
    /// Tools that both offer and that are not the same.
    pub changed: Vec<String>,
}

/// What happened to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its tools differ.
    Tools,
}

/// Domains that differ, by name; a domain that is the same in both is left out.
pub fn domains(from: &Snapshot, to: &Snapshot) -> Vec<DomainDiff> {
    let all: BTreeSet<&Domain> = from.domains.keys().chain(to.domains.keys()).collect();
    all.into_iter()
        .filter_map(|domain| one(domain, from.domains.get(domain), to.domains.get(domain)))
        .collect()
}

fn one(
    domain: &Domain,
    from: Option<&BTreeMap<String, Digest>>,
    to: Option<&BTreeMap<String, Digest>>,
) -> Option<DomainDiff> {
    let change = match (from, to) {
        (None, _) => Change::Added,
        (_, None) => Change::Removed,
        (Some(from), Some(to)) if from == to => return None,
        (Some(_), Some(_)) => Change::Tools,
    };
    let none = BTreeMap::new();
    let (from, to) = (from.unwrap_or(&none), to.unwrap_or(&none));
    let only = |these: &BTreeMap<String, Digest>, those: &BTreeMap<String, Digest>| {
        these.keys().filter(|name| !those.contains_key(*name)).cloned().collect()
    };
    let changed = to
        .iter()
        .filter(|(name, digest)| from.get(*name).is_some_and(|before| before != *digest))
        .map(|(name, _)| name.clone())
        .collect();
    Some(DomainDiff {
        domain: domain.clone(),
        change,
        added: only(to, from),
        removed: only(from, to),
        changed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(domains: &[(&str, &[(&str, &str)])]) -> Snapshot {
        let domains = domains.iter().map(|(domain, tools)| {
            let tools = tools.iter().map(|(name, form)| ((*name).to_owned(), Digest::of(form.as_bytes())));
            (Domain::parse(domain).unwrap(), tools.collect())
        });
        Snapshot { policy: None, domains: domains.collect() }
    }

    #[test]
    fn a_difference_names_what_came_went_and_changed_and_nothing_else() {
        let from = snapshot(&[
            ("same", &[("a", "1")]),
            ("gone", &[("a", "1")]),
            ("other", &[("stays", "1"), ("changes", "1"), ("goes", "1")]),
        ]);
        let to = snapshot(&[
            ("same", &[("a", "1")]),
            ("new", &[]),
            ("other", &[("stays", "1"), ("changes", "2"), ("comes", "1")]),
        ]);
        let told: Vec<_> = domains(&from, &to)
            .into_iter()
            .map(|diff| {
                let DomainDiff { domain, change, added, removed, changed } = diff;
                (domain.to_string(), change, added.join(","), removed.join(","), changed.join(","))
            })
            .collect();
        let row = |domain: &str, change, added: &str, removed: &str, changed: &str| {
            (domain.to_owned(), change, added.to_owned(), removed.to_owned(), changed.to_owned())
        };
        assert_eq!(
            told,
            [
                row("gone", Change::Removed, "", "a", ""),
                row("new", Change::Added, "", "", ""),
                row("other", Change::Tools, "comes", "goes", "changes"),
            ]
        );
        assert!(domains(&to, &to).is_empty());
    }
}
