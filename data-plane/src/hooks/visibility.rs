//! What a caller sees, as far as a request needs to know.
//!
//! Hooks are asked about whole families of tools ([`toolplane_registry::view::kin`]), so that names come out as if
//! they had been asked about everything. Where every hook that hides tools lets its answer be kept, they are asked
//! about everything once.

use std::collections::BTreeSet;
use std::ops::Deref;
use std::sync::Arc;

use toolplane_registry::{View, search};

use super::error::Refusal;
use super::visit::Visit;
use crate::live::Served;

/// What a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    /// Everything.
    All,
    /// The tools of one domain.
    Domain(&'a str),
    /// Whatever has this name.
    Name(&'a str),
    /// Whatever a search finds.
    Search(&'a str),
}

/// What a caller sees of what it asked for.
#[derive(Debug, Clone)]
pub(crate) enum Seen<'s> {
    /// Nothing is hidden from anybody.
    All(&'s View),
    /// Everything that the caller may know of.
    Whole(Arc<View>),
    /// The same, within a scope. What is not found here may be missing for being out of it.
    Part(Arc<View>),
}

impl Seen<'_> {
    /// Whether more could be seen in a wider scope.
    pub(crate) fn is_part(&self) -> bool {
        matches!(self, Self::Part(_))
    }
}

impl Deref for Seen<'_> {
    type Target = View;

    fn deref(&self) -> &View {
        match self {
            Self::All(view) => view,
            Self::Whole(view) | Self::Part(view) => view,
        }
    }
}

/// Asks the hooks what the caller of this visit sees.
pub(crate) async fn seen<'s>(
    visit: &Visit,
    served: &'s Served,
    scope: Scope<'_>,
) -> Result<Seen<'s>, Refusal> {
    let all = served.snapshot().all();
    let (version, cache) = (served.snapshot().version(), &visit.chain.cache);
    if let Some(key) = visit.visibility_key().filter(|_| !visit.chain.max_keep.is_zero()) {
        if let Some(view) = cache.get(version, &key) {
            return Ok(Seen::Whole(view));
        }
        let sight = visit.filter(all, (0..all.len()).collect(), None).await?;
        let view = Arc::new(all.narrowed(sight.positions));
        cache.put(version, key, &view, sight.keep_for.min(visit.chain.max_keep));
        return Ok(Seen::Whole(view));
    }
    let kin = || served.kin();
    let narrowed = |positions| Arc::new(all.narrowed(positions));
    Ok(match scope {
        Scope::All => Seen::Whole(whole(visit, all).await?),
        Scope::Name(name) => {
            let family: BTreeSet<usize> = kin().claiming(name).iter().copied().collect();
            if family.is_empty() {
                // What the caller may have meant takes a look at everything in any case.
                return Ok(Seen::Whole(whole(visit, all).await?));
            }
            Seen::Part(narrowed(visit.filter(all, family, None).await?.positions))
        }
        Scope::Search(query) => {
            let found = kin().around(search::candidates(all, kin(), query)).into_iter().collect();
            Seen::Part(narrowed(visit.filter(all, found, None).await?.positions))
        }
        Scope::Domain(domain) => {
            let own: BTreeSet<usize> = all.positions_of(domain).iter().copied().collect();
            let related = kin().around(own.iter().copied()).into_iter();
            let related: BTreeSet<usize> = related.filter(|position| !own.contains(position)).collect();
            let mut visible = visit.filter(all, own, Some(domain)).await?.positions;
            if !related.is_empty() {
                visible.extend(visit.filter(all, related, None).await?.positions);
            }
            Seen::Part(narrowed(visible))
        }
    })
}

/// Everything that the caller may know of.
async fn whole(visit: &Visit, all: &View) -> Result<Arc<View>, Refusal> {
    let sight = visit.filter(all, (0..all.len()).collect(), None).await?;
    Ok(Arc::new(all.narrowed(sight.positions)))
}
