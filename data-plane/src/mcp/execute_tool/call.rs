//! How a tool's upstream is called: where, with which headers, and whether twice does harm.

use serde::Deserialize;
use toolplane_registry::Tool;
use toolplane_registry::upstream::Header;
use toolplane_registry::view::Entry;
use toolplane_upstream::auth::outgoing_headers;
use toolplane_upstream::client::Target;

use crate::caller::Caller;
use crate::live::Served;

/// Where the tool is, for this caller.
pub(super) fn target(served: &Served, caller: &Caller, entry: &Entry, extra: &[Header]) -> Target {
    let domain = entry.domain().domain();
    let endpoint = entry.domain().endpoint();
    Target {
        url: endpoint.url.clone(),
        headers: outgoing_headers(&endpoint.headers, served.forward(domain), &caller.headers, extra),
        tls: served.pool(domain).cloned(),
        session_mode: endpoint.session_mode,
        config_id: endpoint.config_id.clone(),
        protocol: endpoint.protocol,
        domain: Some(domain.clone()),
    }
}

/// Whether the tool says of itself that running it twice is like running it once. Whoever says so falsely harms nobody
/// but itself.
pub(super) fn is_harmless(tool: &Tool) -> bool {
    #[derive(Deserialize, Default)]
    #[serde(rename_all = "camelCase", default)]
    struct Hints {
        read_only_hint: bool,
        idempotent_hint: bool,
    }
    let hints = tool.annotations.as_ref().and_then(|raw| serde_json::from_str::<Hints>(raw.as_str()).ok());
    hints.is_some_and(|hints| hints.read_only_hint || hints.idempotent_hint)
}

/// Whether the tool says of itself that it may destroy something. Whatever is not plainly a no is a yes.
pub(crate) fn is_destructive(tool: &Tool) -> bool {
    use serde_json::Value;

    let Some(annotations) = tool.annotations.as_ref() else { return false };
    let Ok(Value::Object(hints)) = annotations.to_value() else { return true };
    let is_read_only = hints.get("readOnlyHint") == Some(&Value::Bool(true));
    let may_destroy = !matches!(hints.get("destructiveHint"), None | Some(Value::Null | Value::Bool(false)));
    may_destroy && !is_read_only
}

#[cfg(test)]
mod tests {
    use toolplane_registry::RawJson;
    use toolplane_registry::test_util::a_tool;

    use super::*;

    #[test]
    fn only_tools_that_say_so_may_run_twice() {
        for (annotations, expected) in [
            (None, false),
            (Some("{}"), false),
            (Some(r#"{"readOnlyHint":true,"x":1}"#), true),
            (Some(r#"{"idempotentHint":true,"readOnlyHint":false}"#), true),
            (Some(r#"{"readOnlyHint":"true"}"#), false),
            (Some("[]"), false),
        ] {
            let annotations = annotations.map(|text| RawJson::parse(text).unwrap());
            assert_eq!(is_harmless(&Tool { annotations, ..a_tool("t") }), expected);
        }
    }

    #[test]
    fn a_tool_that_may_destroy_something_is_known_by_its_annotations() {
        for (annotations, expected) in [
            (None, false),
            (Some("{}"), false),
            (Some(r#"{"destructiveHint":true}"#), true),
            (Some(r#"{"destructiveHint":true,"readOnlyHint":null}"#), true),
            (Some(r#"{"destructiveHint":"yes"}"#), true),
            (Some(r#"{"destructiveHint":true,"readOnlyHint":true}"#), false),
            (Some(r#"{"destructiveHint":false}"#), false),
            (Some(r#"{"destructiveHint":null}"#), false),
            (Some("[]"), true),
        ] {
            let annotations = annotations.map(|text| RawJson::parse(text).unwrap());
            assert_eq!(is_destructive(&Tool { annotations, ..a_tool("t") }), expected);
        }
    }
}
