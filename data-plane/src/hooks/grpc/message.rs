//! Between the model and the messages of hook services.

use std::collections::BTreeMap;
use std::time::Duration;

use http::HeaderMap;
use toolplane_proto::hooks as wire;
use toolplane_registry::upstream::Header;
use toolplane_registry::view::Entry;
use toolplane_registry::{RawJson, Secret};

use super::super::{Denial, Error, Failure, Metadata};

/// The members that the later questions about an execution have in common; the rest is empty.
macro_rules! request_of {
    ($message:ty, $call:expr, $execution:expr) => {{
        let mut request = <$message>::default();
        request.call = $call;
        request.tool = Some($crate::hooks::grpc::message::tool($execution.tool, true));
        request.arguments = $execution.arguments.as_str().to_owned();
        request.metadata = $crate::hooks::grpc::message::notes($execution.metadata);
        request
    }};
}
pub(super) use request_of;

/// The caller's headers, as far as they may pass. Values that are no text are left out.
pub(super) fn headers_of(headers: &HeaderMap, passes: impl Fn(&str) -> bool) -> Vec<wire::Header> {
    let passing = headers.iter().filter(|(name, _)| passes(name.as_str()));
    let told = passing.filter_map(|(name, value)| {
        let value = std::str::from_utf8(value.as_bytes()).ok()?.to_owned();
        Some(wire::Header { name: name.as_str().to_owned(), value })
    });
    told.collect()
}

/// Headers that hooks have set so far.
pub(super) fn set_headers(headers: &[Header]) -> Vec<wire::Header> {
    let told = headers.iter().map(|Header { name, value }| wire::Header {
        name: name.clone(),
        value: Secret::expose(value).clone(),
    });
    told.collect()
}

pub(super) fn notes(metadata: &Metadata) -> BTreeMap<String, String> {
    metadata.iter().map(|(key, value)| (key.clone(), value.as_str().to_owned())).collect()
}

/// A tool; in lists without its schema and annotations.
pub(super) fn tool(entry: &Entry, whole: bool) -> wire::Tool {
    let tool = entry.tool();
    let annotations = tool.annotations.as_ref().filter(|_| whole);
    wire::Tool {
        name: entry.name().to_owned(),
        domain: entry.domain().domain().to_string(),
        group: tool.group.as_str().to_owned(),
        original_name: tool.original_name.to_string(),
        description: tool.description.clone(),
        input_schema: if whole { tool.input_schema.as_str().to_owned() } else { String::new() },
        annotations: annotations.map_or_else(String::new, |raw| raw.as_str().to_owned()),
    }
}

/// As many of the tools as fit, and one at least.
pub(super) fn list(entries: &[&Entry], max_bytes: usize) -> Vec<wire::Tool> {
    let mut size = 0;
    let fit = entries.iter().map(|entry| tool(entry, false)).take_while(|tool| {
        let is_first = size == 0;
        size += prost::Message::encoded_len(tool) + 8;
        is_first || size <= max_bytes
    });
    fit.collect()
}

/// What a denial means, if its code is one.
pub(super) fn denied(denial: wire::Denial) -> Error {
    let wire::Denial { message, code } = denial;
    Denial::with_code(message, &code).map_or_else(Error::Failed, Error::Denied)
}

pub(super) fn json(what: &str, text: &str) -> Result<RawJson, Failure> {
    RawJson::parse(text).map_err(|_| Failure::Invalid(format!("{what} is no JSON")))
}

/// For how long visibility may be kept; what is negative is not at all.
pub(super) fn keep_for(duration: Option<&prost_types::Duration>) -> Duration {
    let Some(prost_types::Duration { seconds, nanos }) = duration else { return Duration::ZERO };
    match (u64::try_from(*seconds), u32::try_from(*nanos)) {
        (Ok(seconds), Ok(nanos)) => {
            Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanos.into()))
        }
        _ => Duration::ZERO,
    }
}
