//! What a caller sees, as far as a request needs to know.
//!
//! Hooks are asked about whole families of tools ([`toolplane_registry::view::kin`]), so that names come out as if
//! they had been asked about everything. Where every hook that hides tools lets its answer be kept, they are asked
//! about everything once.
//!
//! What nobody has is asked about as often as what is hidden, and about as much: how long an answer takes must not tell
//! one from the other.

use std::ops::Deref;
use std::sync::Arc;

use toolplane_registry::{View, search, suggest};

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
    /// Whatever has this name, or what could be suggested instead.
    Name(&'a str),
    /// Whatever a search finds.
    Search(&'a str),
}

/// What a caller sees of what it asked for.
#[derive(Debug, Clone)]
pub(crate) enum Seen<'s> {
    /// Nothing is hidden from this caller.
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
    match scope {
        Scope::All => {
            let visible = visit.filter(all, (0..all.len()).collect(), None).await?.positions;
            // What was made of the whole registry is good for whoever sees all of it.
            let sees_all = visible.len() == all.len();
            Ok(if sees_all { Seen::All(all) } else { Seen::Whole(Arc::new(all.narrowed(visible))) })
        }
        Scope::Name(name) => named(visit, served, name).await,
        Scope::Search(query) => {
            let found = served.kin().around(search::candidates(all, served.kin(), query));
            let visible = visit.filter(all, found, None).await?.positions;
            Ok(Seen::Part(Arc::new(all.narrowed(visible))))
        }
        Scope::Domain(domain) => in_domain(visit, served, domain).await,
    }
}

/// One question about whoever has the name, and where the caller does not see that, a second one about what could be
/// suggested. Some other family stands in for that of a name that nobody has.
async fn named<'s>(visit: &Visit, served: &'s Served, name: &str) -> Result<Seen<'s>, Refusal> {
    let (all, kin) = (served.snapshot().all(), served.kin());
    let family = match kin.claiming(name) {
        [] => kin.standing_in(all, name),
        family => family,
    };
    let mut visible = visit.filter(all, family.to_vec(), None).await?.positions;
    let view = all.narrowed(visible.iter().copied());
    if view.get(name).is_some() {
        return Ok(Seen::Part(Arc::new(view)));
    }
    let mut near = kin.around(suggest::candidates(all, kin, name));
    near.retain(|position| family.binary_search(position).is_err());
    visible.extend(visit.filter(all, near, None).await?.positions);
    Ok(Seen::Part(Arc::new(all.narrowed(visible))))
}

/// One question about the domain, and where the caller sees some of it, a second one about whoever could share a name
/// with its tools.
async fn in_domain<'s>(visit: &Visit, served: &'s Served, domain: &str) -> Result<Seen<'s>, Refusal> {
    let (all, kin) = (served.snapshot().all(), served.kin());
    let own = all.positions_of(domain);
    let mut visible = visit.filter(all, own.to_vec(), Some(domain)).await?.positions;
    if !visible.is_empty() {
        let mut related = kin.around(own.iter().copied());
        related.retain(|position| own.binary_search(position).is_err());
        if !related.is_empty() {
            visible.extend(visit.filter(all, related, None).await?.positions);
        }
    }
    Ok(Seen::Part(Arc::new(all.narrowed(visible))))
}
