//! The places for programs that run at one time: those of the node, and those of each caller.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Full, Settings};
use crate::caller::Caller;

/// Who runs how many programs. Bounded: it holds callers that run one.
#[derive(Debug)]
pub(crate) struct Places {
    max: usize,
    max_per_caller: usize,
    running: Mutex<Running>,
}

#[derive(Debug, Default)]
struct Running {
    all: usize,
    by_caller: HashMap<Who, usize>,
}

/// The place of one program, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    places: Arc<Places>,
    who: Who,
}

/// What tells a caller from another. Never a header that nobody has checked: whoever varies it would have all places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Who {
    /// As a hook calls it.
    Subject(String),
    /// Where it comes from; everybody behind one proxy is one.
    Network(IpAddr),
    /// All of whom nothing is known are one.
    Nobody,
}

impl Places {
    pub(super) fn new(settings: &Settings) -> Self {
        let Settings { max_runs, max_runs_per_caller, .. } = *settings;
        Self { max: max_runs, max_per_caller: max_runs_per_caller, running: Mutex::default() }
    }

    pub(super) fn take(places: &Arc<Self>, caller: &Caller) -> Result<Turn, Full> {
        let who = Who::of(caller);
        let mut running = places.running.lock().unwrap_or_else(PoisonError::into_inner);
        let own = running.by_caller.get(&who).copied().unwrap_or_default();
        // One caller's fullness is said first: it is the one that the caller can do something about.
        if own >= places.max_per_caller {
            return Err(Full::Caller);
        }
        if running.all >= places.max {
            return Err(Full::Node);
        }
        running.all += 1;
        running.by_caller.insert(who.clone(), own + 1);
        Ok(Turn { places: Arc::clone(places), who })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut running = self.places.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.all = running.all.saturating_sub(1);
        if let Entry::Occupied(mut own) = running.by_caller.entry(self.who.clone()) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

impl Who {
    fn of(caller: &Caller) -> Self {
        match (caller.subject(), caller.peer()) {
            (Some(subject), _) => Self::Subject(subject.to_owned()),
            (None, Some(peer)) => Self::Network(network(peer)),
            (None, None) => Self::Nobody,
        }
    }
}

/// The smallest network that a stranger cannot simply take another address of. Of IPv6 everybody has a whole /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};

    use super::*;

    fn caller(peer: &str, token: &'static str) -> Caller {
        let token = (http::header::AUTHORIZATION, HeaderValue::from_static(token));
        Caller::new(HeaderMap::from_iter([token])).at(peer.parse().ok())
    }

    #[test]
    fn places_are_counted_for_the_node_and_for_each_caller() {
        let settings = Settings { max_runs: 3, max_runs_per_caller: 2, ..Settings::default() };
        let places = Arc::new(Places::new(&settings));
        let take = |peer| Places::take(&places, &caller(peer, "a"));
        let (first, _second) = (take("10.0.0.1").unwrap(), take("10.0.0.1").unwrap());
        assert_eq!(take("10.0.0.1").unwrap_err(), Full::Caller);
        let _third = take("unknown").unwrap();
        assert_eq!(take("10.0.0.2").unwrap_err(), Full::Node);
        drop(first);
        let _again = take("10.0.0.1").unwrap();
        assert_eq!(places.running.lock().unwrap().by_caller.len(), 2);
    }

    #[test]
    fn a_caller_gets_no_more_places_by_other_words_or_another_address_of_its_network() {
        let settings = Settings { max_runs: 9, max_runs_per_caller: 1, ..Settings::default() };
        for (one, other, are_one) in [
            ("10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "10.0.0.2", false),
            ("10.0.0.1", "::ffff:10.0.0.1", true),
            ("2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true),
            ("2001:db8:0:1::1", "2001:db8:0:2::1", false),
            ("unknown", "unknown too", true),
        ] {
            let places = Arc::new(Places::new(&settings));
            let _first = Places::take(&places, &caller(one, "a")).unwrap();
            let second = Places::take(&places, &caller(other, "b"));
            assert_eq!(second.err(), are_one.then_some(Full::Caller), "{one} {other}");
        }
    }
}
