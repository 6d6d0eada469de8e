//! `execute_code` as clients see it in `tools/list`: what works in few words, with an example made of the caller's tools.

use std::convert::Infallible;

use rmcp::model::Tool;
use serde_json::{Value, json};
use toolplane_registry::{RawJson, View, signature};
use toolplane_sandbox::Limits;

use super::definitions::{EXECUTE_CODE, always_load};
use super::execute_tool::call::is_destructive;
use crate::code_mode::Bindings;

/// A tool with more required parameters makes no short example.
const MAX_PARAMETERS: usize = 2;
/// The example where no tool makes a short one.
const NO_TOOLS: &str = "1 + 1";

/// The meta-tool for a caller that sees this, or for nobody in particular.
pub(super) fn definition(limits: &Limits, view: Option<&View>) -> Tool {
    let example = view.and_then(kept_example).unwrap_or_else(|| NO_TOOLS.to_owned());
    #[expect(clippy::expect_used, reason = "constants around texts; a test reads it")]
    serde_json::from_value(described(limits, &example)).expect("the definition is a tool")
}

fn described(limits: &Limits, example: &str) -> Value {
    let Limits { duration, calls, .. } = limits;
    let description = format!(
        "Runs Python that calls tools, and returns the value of its last expression; for several calls in one go. \
         Tools are async functions under the names that discover_tools(format=\"signatures\") shows: \
         `r = await name(key=value)`. A structured answer is a dict or list, any other is text (`json.loads` reads \
         JSON). `asyncio.gather` runs calls at once. A failed call raises RuntimeError(\"code: message\"); where a \
         program fails, `effect` of each call says what not to repeat. `print` is captured. Works: functions, comprehensions, \
         f-strings, try, plain classes; modules json, re, math, datetime, itertools, collections, functools, asyncio. Does not: class inheritance, match, yield, del, files, network. \
         At most {calls} calls and {} s. Example:\n{example}",
        duration.as_secs_f64()
    );
    json!({
        "name": EXECUTE_CODE,
        "title": "Execute code",
        "description": description,
        "inputSchema": {
            "type": "object",
            "properties": { "code": { "type": "string", "description": "Python source." } },
            "required": ["code"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": false, "openWorldHint": true },
        "_meta": always_load(),
    })
}

/// The example for everybody with this view, put together once.
fn kept_example(view: &View) -> Option<String> {
    let made = view.kept_example().or_make(|| {
        let example = example(view).unwrap_or_else(|| NO_TOOLS.to_owned());
        Ok::<_, Infallible>(RawJson::from(&Value::from(example)))
    });
    let Ok(made) = made;
    serde_json::from_str(made.as_str()).ok()
}

/// A call of the first tool that takes few parameters, and something done with its answer.
fn example(view: &View) -> Option<String> {
    let bindings = Bindings::of(view);
    let required = |schema: &str| -> Option<Vec<String>> {
        let schema: Value = serde_json::from_str(schema).ok()?;
        let names = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        names.iter().map(|name| name.as_str().map(str::to_owned)).collect()
    };
    let is_short = |name: &str| name.len() <= 40;
    let (entry, names) = view.entries().iter().find_map(|entry| {
        let names = required(entry.tool().input_schema.as_str())?;
        let is_simple = !names.is_empty() && names.len() <= MAX_PARAMETERS && is_short(entry.name());
        let is_gentle = !is_destructive(entry.tool());
        let are_names =
            names.iter().all(|name| toolplane_sandbox::identifier::is_safe(name) && is_short(name));
        (is_simple && is_gentle && are_names).then_some((entry, names))
    })?;
    let order = signature::parameter_names(entry.tool());
    let arguments: Vec<String> =
        order.iter().filter(|name| names.contains(name)).map(|name| format!("{name}=\"...\"")).collect();
    let call = format!("{}({})", bindings.identifier(entry.name()), arguments.join(", "));
    Some(format!("import asyncio\na, b = await asyncio.gather({call}, {call})\n[a, b]"))
}

#[cfg(test)]
mod tests {
    use toolplane_registry::test_util::{a_domain, a_tool};
    use toolplane_registry::{Tool as RegistryTool, Version, snapshot::Builder};

    use super::*;

    #[test]
    fn the_example_is_made_of_what_the_caller_sees() {
        let schema = r#"{"type":"object","properties":{"q":{"type":"string"}},"required":["q"]}"#;
        let tool = RegistryTool { input_schema: RawJson::parse(schema).unwrap(), ..a_tool("find-it") };
        let snapshot =
            Builder::new(Version::new("s", 1)).domain(a_domain("crm", vec![tool])).build().unwrap();
        let shown = definition(&Limits::default(), Some(snapshot.all()));
        let text = shown.description.unwrap();
        assert!(
            text.ends_with("await asyncio.gather(find_it(q=\"...\"), find_it(q=\"...\"))\n[a, b]"),
            "{text}"
        );
        assert!(text.len() < 1200, "few tokens: {}", text.len());
        let again = definition(&Limits::default(), Some(snapshot.all()));
        assert_eq!(again.description.unwrap(), text, "what is kept");
        let nobody = definition(&Limits::default(), None);
        assert!(nobody.description.unwrap().ends_with("1 + 1"));
    }
}
