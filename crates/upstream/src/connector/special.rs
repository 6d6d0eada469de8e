//! Addresses whose exchanges have limits of their own.
//!
//! The HTTP client knows one time for connecting, so another one means another client, with a pool of its own. Those
//! are few: one for each time that somebody set.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;

use crate::Error;
use crate::limits::Timeouts;

/// What applies to one address.
#[derive(Debug, Clone, Default)]
pub(super) struct Special {
    pub(super) timeouts: Timeouts,
    /// A client that connects with this address's limit.
    pub(super) http: Option<reqwest::Client>,
}

/// The addresses, by URL. Reading takes no lock, and most of the time there is nothing to read.
#[derive(Debug, Clone, Default)]
pub(super) struct Specials(Arc<ArcSwap<HashMap<String, Special>>>);

impl Specials {
    /// What applies to an address.
    pub(super) fn of(&self, url: &str) -> Special {
        let all = self.0.load();
        if all.is_empty() { Special::default() } else { all.get(url).cloned().unwrap_or_default() }
    }

    /// Replaces all of them. Clients that are there already are kept, with their connections; `connect` makes others.
    pub(super) fn set(
        &self,
        wanted: impl Iterator<Item = (String, Timeouts)>,
        connect: impl Fn(Duration) -> Result<reqwest::Client, Error>,
    ) -> Result<(), Error> {
        let before = self.0.load();
        let mut clients: HashMap<Duration, reqwest::Client> = before
            .values()
            .filter_map(|special| Some((special.timeouts.connect?, special.http.clone()?)))
            .collect();
        let mut all = HashMap::new();
        for (url, timeouts) in wanted.filter(|(_, timeouts)| *timeouts != Timeouts::default()) {
            let http = match timeouts.connect {
                None => None,
                Some(limit) => Some(match clients.entry(limit) {
                    Entry::Occupied(known) => known.get().clone(),
                    Entry::Vacant(place) => place.insert(connect(limit)?).clone(),
                }),
            };
            all.insert(url, Special { timeouts, http });
        }
        self.0.store(Arc::new(all));
        Ok(())
    }
}
