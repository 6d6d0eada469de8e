//! Answers that are the same for everybody with the same view: put together once, and kept with the view.
//!
//! Owns which answers those are. They are those of a view and nothing else, so they are gone with the snapshot, and a
//! caller who sees less has a view, and answers, of its own.

use toolplane_registry::View;
use toolplane_registry::view::Kept;

use super::arguments::{Discover, Format};
use super::discover_tools::{self, Found};
use super::error::Error;
use super::get_tool_schema::{self, find};
use super::reply::Reply;

/// The answer of `discover_tools`, and how many things it lists.
pub(super) fn discovered(view: &View, arguments: &Discover) -> Result<(Reply, usize), Error> {
    let Discover { domain, group, query, format } = arguments;
    let is_query = query.as_deref().is_some_and(|query| !query.trim().is_empty());
    let (kept, count) = match domain.as_deref() {
        _ if is_query => (None, 0),
        // The summary knows neither groups nor formats.
        None => (Some(view.kept()), view.domains().len()),
        Some(name) if group.is_none() && format.unwrap_or_default() == Format::Schema => {
            (view.kept_of(name), view.domain(name).map_or(0, |entries| entries.len()))
        }
        Some(_) => (None, 0),
    };
    let Some(kept) = kept else {
        let Found { text, count } = discover_tools::discover(view, arguments)?;
        return Ok((Reply::wrapped(&text), count));
    };
    let reply = kept_or(kept, || Ok(discover_tools::discover(view, arguments)?.text))?;
    Ok((reply, count))
}

/// The answer of `get_tool_schema`.
pub(super) fn schema(view: &View, name: &str) -> Result<Reply, Error> {
    kept_or(find(view, name)?.kept(), || get_tool_schema::schema(view, name))
}

/// What is kept, put together where it is not there yet.
fn kept_or(kept: &Kept, text: impl FnOnce() -> Result<String, Error>) -> Result<Reply, Error> {
    let documents = kept.or_make(|| Ok::<_, Error>(Reply::wrapped(&text()?).into_parts()))?;
    Ok(Reply::of_parts(documents))
}
