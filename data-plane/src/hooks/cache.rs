//! Views that were narrowed for callers, kept for a bounded time.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use toolplane_registry::{Version, View};

/// Views by visibility key, all of one version: an older one is of no use to anybody.
#[derive(Debug)]
pub(crate) struct Cache {
    max_tools: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    version: Version,
    views: HashMap<String, (Instant, Arc<View>)>,
    tools: usize,
}

impl Cache {
    pub(super) fn new(max_tools: usize) -> Self {
        Self { max_tools, kept: Mutex::default() }
    }

    pub(super) fn get(&self, version: &Version, key: &str) -> Option<Arc<View>> {
        let kept = self.lock();
        let (until, view) = kept.views.get(key).filter(|_| kept.version == *version)?;
        (*until > Instant::now()).then(|| Arc::clone(view))
    }

    /// Keeps a view, as far as there is room: first those that are over go, then all.
    pub(super) fn put(&self, version: &Version, key: String, view: &Arc<View>, keep_for: Duration) {
        let weight = weight(view);
        if keep_for.is_zero() || weight > self.max_tools {
            return;
        }
        let (now, mut kept) = (Instant::now(), self.lock());
        if kept.version != *version {
            *kept = Kept { version: version.clone(), ..Kept::default() };
        }
        if kept.tools + weight > self.max_tools {
            kept.views.retain(|_, (until, _)| *until > now);
            kept.tools = kept.views.values().map(|(_, view)| self::weight(view)).sum();
            if kept.tools + weight > self.max_tools {
                kept.views.clear();
                kept.tools = 0;
            }
        }
        let before = kept.views.insert(key, (now + keep_for, Arc::clone(view)));
        kept.tools += weight;
        kept.tools -= before.map_or(0, |(_, view)| self::weight(&view)).min(kept.tools);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a view counts: its tools, and a few for being there at all.
fn weight(view: &View) -> usize {
    view.len() + 8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn views_end_with_their_time_their_version_and_the_room() {
        let cache = Cache::new(3 * weight(&View::default()));
        let (first, second) = (Version::new("s", 1), Version::new("s", 2));
        let (view, minute) = (Arc::new(View::default()), Duration::from_mins(1));
        cache.put(&first, "never".to_owned(), &view, Duration::ZERO);
        assert!(cache.get(&first, "never").is_none());
        for key in ["a", "a", "b", "c"] {
            cache.put(&first, key.to_owned(), &view, minute);
        }
        assert!(["a", "b", "c"].iter().all(|key| cache.get(&first, key).is_some()));
        assert!(cache.get(&second, "a").is_none());
        cache.put(&first, "d".to_owned(), &view, 2 * minute);
        assert!(cache.get(&first, "a").is_none() && cache.get(&first, "d").is_some());
        tokio::time::advance(minute).await;
        assert!(cache.get(&first, "d").is_some());
        tokio::time::advance(minute).await;
        assert!(cache.get(&first, "d").is_none());
        cache.put(&second, "e".to_owned(), &view, minute);
        assert!(cache.get(&second, "e").is_some() && cache.get(&first, "d").is_none());
    }
}
