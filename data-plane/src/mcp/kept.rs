//! Answers that are the same for everybody with the same view: put together once, and kept with the view.
//!
//! Owns which answers those are. They are those of a view and nothing else, so they are gone with the snapshot, and a
//! caller who sees less has a view, and answers, of its own. What is asked for in words of the caller's is not kept: there
//! is no end to it.

use toolplane_registry::view::{Form, Kept};
use toolplane_registry::{RawJson, View};

use super::arguments::{Discover, Format};
use super::discover_tools::{self, Found};
use super::error::Error;
use super::get_tool_schema::{self, find};
use super::reply::Reply;

/// The answer of `discover_tools`, and how many things it lists.
pub(super) fn discovered(
    view: &View,
    arguments: &Discover,
    is_for_code: bool,
) -> Result<(Reply, usize), Error> {
    let discover = || discover_tools::discover(view, arguments, is_for_code);
    if let Some((kept, count)) = place(view, arguments, is_for_code) {
        return Ok((kept_or(kept, || Ok(discover()?.text))?, count));
    }
    let Found { text, count } = discover()?;
    Ok((Reply::wrapped(text), count))
}

/// The answer of `get_tool_schema`.
pub(super) fn schema(view: &View, name: &str) -> Result<Reply, Error> {
    kept_or(find(view, name)?.kept(), || get_tool_schema::schema(view, name))
}

/// Where the answer of `discover_tools` is kept, and how many things it lists.
fn place<'v>(view: &'v View, arguments: &Discover, is_for_code: bool) -> Option<(&'v Kept, usize)> {
    if arguments.query().is_some() {
        return None;
    }
    // The summary knows neither groups nor formats.
    let Some(domain) = arguments.domain.as_deref() else { return Some((view.kept(), view.domains().len())) };
    let part = view.part(domain, arguments.group.as_deref())?;
    let form = match arguments.format.unwrap_or_default() {
        Format::Schema => Form::Described,
        Format::Signatures if is_for_code => Form::ForPrograms,
        Format::Signatures => Form::Signatures,
    };
    Some((part.kept(form), part.len()))
}

/// What is kept, put together where it is not there yet.
fn kept_or(kept: &Kept, text: impl FnOnce() -> Result<String, Error>) -> Result<Reply, Error> {
    let string = kept.or_make(|| text().map(|text| RawJson::from(&serde_json::Value::from(text))))?;
    Ok(Reply::wrapped_string(string.clone()))
}

#[cfg(test)]
mod tests {
    use toolplane_registry::snapshot::Builder;
    use toolplane_registry::test_util::{a_domain, a_tool};
    use toolplane_registry::{Snapshot, Version};

    use super::*;

    /// One of the names is none that a program can spell.
    fn snapshot() -> Snapshot {
        let crm = vec![a_tool("crm_people_search"), a_tool("crm_people_get-one"), a_tool("search")];
        let builder = Builder::new(Version::new("s", 1)).domain(a_domain("crm", crm));
        builder.domain(a_domain("mail", vec![a_tool("send")])).build().unwrap()
    }

    fn asked(domain: Option<&str>, group: Option<&str>, format: Format) -> Discover {
        let own = |text: Option<&str>| text.map(ToOwned::to_owned);
        Discover { domain: own(domain), group: own(group), query: None, format: Some(format) }
    }

    fn kept_at(view: &View, arguments: &Discover, is_for_code: bool) -> Option<*const Kept> {
        place(view, arguments, is_for_code).map(|(kept, _)| std::ptr::from_ref(kept))
    }

    #[test]
    fn what_is_kept_is_what_would_be_put_together() {
        let snapshot = snapshot();
        let view = snapshot.all();
        let wheres = [
            (None, None),
            (Some("crm"), None),
            (Some("crm"), Some("people")),
            (Some("mail"), Some("general")),
        ];
        let mut places = Vec::new();
        for (domain, group) in wheres {
            for (format, is_for_code) in
                [(Format::Schema, false), (Format::Signatures, false), (Format::Signatures, true)]
            {
                let arguments = asked(domain, group, format);
                let Found { text, count } = discover_tools::discover(view, &arguments, is_for_code).unwrap();
                let string = RawJson::from(&serde_json::Value::from(text));
                for _ in 0..2 {
                    let told = discovered(view, &arguments, is_for_code).unwrap();
                    assert_eq!(told, (Reply::wrapped_string(string.clone()), count));
                }
                places.extend(kept_at(view, &arguments, is_for_code));
            }
        }
        assert_eq!(places.len(), 12, "all of them are kept");
        places.sort_unstable();
        places.dedup();
        assert_eq!(places.len(), 10, "each in a place of its own, but for the one summary");
    }

    #[test]
    fn what_has_no_end_is_not_kept() {
        let snapshot = snapshot();
        let unbounded = [
            asked(Some("unknown"), None, Format::Schema),
            asked(Some("crm"), Some("unknown"), Format::Schema),
            Discover { query: Some("search".to_owned()), ..Discover::default() },
        ];
        for arguments in unbounded {
            assert_eq!(kept_at(snapshot.all(), &arguments, false), None, "{arguments:?}");
        }
    }
}
