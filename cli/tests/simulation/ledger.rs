//! What was ever published, and what nodes ever served: the truth that everything else is held against.

use std::collections::{BTreeMap, BTreeSet};

use toolplane_registry::{Digest, Version};

/// Contents by version. A restored database may give a number out twice, which is why there may be several.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    published: BTreeMap<(String, u64), BTreeSet<Digest>>,
    /// Stores in the order in which they came to be.
    stores: Vec<String>,
    served: BTreeMap<String, Vec<(Version, Digest)>>,
}

impl Ledger {
    /// Notes that a version came to be.
    pub(crate) fn published(&mut self, version: &Version, digest: Digest) {
        if !self.stores.iter().any(|store| store == version.store_id()) {
            self.stores.push(version.store_id().to_owned());
        }
        self.published.entry((version.store_id().to_owned(), version.number())).or_default().insert(digest);
    }

    /// Whether a version had that content.
    pub(crate) fn knows(&self, version: &Version, digest: Digest) -> bool {
        let key = (version.store_id().to_owned(), version.number());
        self.published.get(&key).is_some_and(|digests| digests.contains(&digest))
    }

    /// Notes what a node serves now, and says what is wrong with it. `before` is what it served until now.
    pub(crate) fn serves(
        &mut self,
        node: &str,
        before: Option<&Version>,
        version: &Version,
        digest: Digest,
    ) -> Result<(), String> {
        self.served.entry(node.to_owned()).or_default().push((version.clone(), digest));
        if version.is_none() {
            return match before.filter(|before| !before.is_none()) {
                Some(before) => Err(format!("`{node}` lost {}", name(before))),
                None => Ok(()),
            };
        }
        if !self.knows(version, digest) {
            let (name, short) = (name(version), digest.short(8));
            return Err(format!("`{node}` serves {name} as {short}, which was never published as that"));
        }
        let Some(before) = before.filter(|before| !before.is_none()) else { return Ok(()) };
        if self.age(version) < self.age(before) {
            return Err(format!("`{node}` went back from {} to {}", name(before), name(version)));
        }
        Ok(())
    }

    /// Whether a node ever served that.
    pub(crate) fn has_served(&self, node: &str, version: &Version, digest: Digest) -> bool {
        let served = self.served.get(node).into_iter().flatten();
        served.into_iter().any(|(held, content)| held == version && *content == digest)
    }

    fn age(&self, version: &Version) -> (Option<usize>, u64) {
        (self.stores.iter().position(|store| store == version.store_id()), version.number())
    }
}

/// A version with its store.
pub(crate) fn name(version: &Version) -> String {
    format!("{}/{version}", version.store_id())
}
