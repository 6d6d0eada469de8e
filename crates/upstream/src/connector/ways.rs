//! The addresses of a snapshot, each read and checked once, with the limits of its own.

use std::collections::HashMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::place::Place;
use super::pool::{Pool, Shelf};
use crate::Error;
use crate::guard::Policy;
use crate::limits::Timeouts;

/// How requests get to an address.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) place: Place,
    pub(super) timeouts: Timeouts,
    /// Where the connections of upstreams without TLS settings of their own are kept.
    pub(super) shelf: Arc<Shelf>,
}

/// The ways that are known, by URL. Reading takes no lock.
#[derive(Debug, Clone, Default)]
pub(super) struct Ways(Arc<ArcSwap<HashMap<String, Arc<Way>>>>);

impl Way {
    fn new(url: &str, timeouts: Timeouts, policy: &Policy, pool: &Pool) -> Result<Self, Error> {
        let place = Place::new(url, policy)?;
        let shelf = pool.shelf(&place.origin);
        Ok(Self { place, timeouts, shelf })
    }
}

impl Ways {
    /// The way to an address; one that nobody has told of is read and checked now.
    pub(super) fn to(&self, url: &str, policy: &Policy, pool: &Pool) -> Result<Arc<Way>, Error> {
        if let Some(way) = self.0.load().get(url) {
            return Ok(Arc::clone(way));
        }
        Way::new(url, Timeouts::default(), policy, pool).map(Arc::new)
    }

    /// Replaces all of them. What the guard refuses is no way, and is refused again when somebody asks for it.
    pub(super) fn set(&self, wanted: impl Iterator<Item = (String, Timeouts)>, policy: &Policy, pool: &Pool) {
        let before = self.0.load();
        let mut all = HashMap::new();
        for (url, timeouts) in wanted {
            let known = before.get(&url).filter(|way| way.timeouts == timeouts);
            let way = match known {
                Some(way) => Arc::clone(way),
                None => match Way::new(&url, timeouts, policy, pool) {
                    Ok(way) => Arc::new(way),
                    Err(_) => continue,
                },
            };
            all.insert(url, way);
        }
        self.0.store(Arc::new(all));
    }
}
