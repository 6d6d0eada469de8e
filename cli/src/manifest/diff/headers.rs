//! Headers of an upstream: their values go in and never come out, and they change as a whole.

use std::collections::BTreeSet;

use toolplane_proto::admin as wire;

use super::super::{Mistake, Source, Upstream};
use super::Edit;

/// How the headers change, if at all.
pub(super) fn change(wanted: &Upstream, held: Option<&wire::Upstream>) -> Result<Option<Edit>, Vec<Mistake>> {
    let held_names: BTreeSet<&str> =
        held.into_iter().flat_map(|held| &held.header_names).map(String::as_str).collect();
    let moved = held.is_some_and(|held| held.url != wanted.url);
    let Some(headers) = &wanted.headers else {
        return if moved && !held_names.is_empty() { Err(vec![again(wanted)]) } else { Ok(None) };
    };
    let names: BTreeSet<&str> = headers.iter().map(|header| header.name.as_str()).collect();
    let (unchanged, given): (Vec<_>, Vec<_>) =
        headers.iter().partition(|header| header.value == Source::Unchanged);
    let mut mistakes: Vec<Mistake> = unchanged
        .iter()
        .filter(|header| !held_names.contains(header.name.as_str()))
        .map(|header| {
            let reason = format!("header `{}` has no value that could stay unchanged", header.name);
            header.place.mistake(reason)
        })
        .collect();
    let is_whole = given.is_empty() && names == held_names;
    if mistakes.is_empty() && !unchanged.is_empty() && !is_whole {
        mistakes.extend(unchanged.iter().map(|header| {
            let name = &header.name;
            let reason = format!("headers change as a whole: give header `{name}` its value too");
            header.place.mistake(reason)
        }));
    }
    if mistakes.is_empty() && moved && !unchanged.is_empty() {
        mistakes.push(again(wanted));
    }
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    if names == held_names && given.is_empty() {
        return Ok(None);
    }
    let list = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    // At a new address they are sent in any case.
    let uncertain = names == held_names && !moved;
    Ok(Some(Edit { uncertain, ..Edit::new("headers", list(&held_names), list(&names)) }))
}

fn again(wanted: &Upstream) -> Mistake {
    let reason = "a new `url` needs the values of all headers (or `headers: {}`): \
                  they were given for the address that is left";
    wanted.place.mistake(format!("upstream `{}`: {reason}", wanted.domain))
}
