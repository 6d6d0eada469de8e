//! A tool's result as one JSON object, for hooks that look at the whole of it.

use std::collections::BTreeMap;

use toolplane_registry::RawJson;
use toolplane_upstream::client::ToolResult;

use super::Failure;

/// Writes a result as an upstream would send it.
pub(super) fn write(result: &ToolResult) -> RawJson {
    let ToolResult { content, structured_content, is_error, meta, extra } = result;
    let blocks: Vec<&str> = content.iter().map(RawJson::as_str).collect();
    let mut text = [r#"{"content":["#, &blocks.join(","), "]"].concat();
    let is_error = if *is_error { "true" } else { "false" };
    let mut member = |name: &str, value: &str| {
        let name = serde_json::Value::from(name).to_string();
        text.push_str(&[",", &name, ":", value].concat());
    };
    if let Some(structured) = structured_content {
        member("structuredContent", structured.as_str());
    }
    member("isError", is_error);
    if let Some(meta) = meta {
        member("_meta", meta.as_str());
    }
    for (name, value) in extra {
        member(name, value.as_str());
    }
    text.push('}');
    #[expect(clippy::expect_used, reason = "made of valid pieces")]
    RawJson::parse(&text).expect("an object of valid members")
}

/// How many bytes it has, written so or in pieces: the few between them left aside.
pub(super) fn size(result: &ToolResult) -> usize {
    let ToolResult { content, structured_content, is_error: _, meta, extra } = result;
    let blocks = content.iter().chain(structured_content).chain(meta).map(|raw| raw.as_str().len() + 1);
    let others = extra.iter().map(|(name, value)| name.len() + value.as_str().len());
    blocks.chain(others).sum()
}

/// Reads what a hook made of it.
pub(super) fn read(raw: &RawJson) -> Result<ToolResult, Failure> {
    let broken = |what: &str| Failure::Invalid(format!("a result {what}"));
    let mut members: BTreeMap<String, RawJson> =
        serde_json::from_str(raw.as_str()).map_err(|_| broken("is no object"))?;
    let content = match members.remove("content") {
        Some(raw) => serde_json::from_str::<Vec<RawJson>>(raw.as_str())
            .map_err(|_| broken("has content that is no list"))?,
        None => Vec::new(),
    };
    if content.iter().any(|block| !block.as_str().starts_with('{')) {
        return Err(broken("has a content block that is no object"));
    }
    let is_error = match members.remove("isError") {
        Some(raw) => serde_json::from_str(raw.as_str()).map_err(|_| broken("has an odd `isError`"))?,
        None => false,
    };
    let meta = members.remove("_meta").filter(|meta| meta.as_str() != "null");
    if meta.as_ref().is_some_and(|meta| !meta.as_str().starts_with('{')) {
        return Err(broken("has a `_meta` that is no object"));
    }
    let structured_content = members.remove("structuredContent");
    Ok(ToolResult { content, structured_content, is_error, meta, extra: members.into_iter().collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_survives_being_shown() {
        let whole = r#"{"content":[{"type":"text","text":"a\u0000","n":1e400}],"structuredContent":null,"isError":true,"_meta":{"k":1e999},"later":[1]}"#;
        let result = read(&RawJson::parse(whole).unwrap()).unwrap();
        assert!(result.is_error && result.extra.len() == 1);
        assert_eq!(write(&result).as_str(), whole);
    }

    #[test]
    fn what_is_no_result_is_said_to_be_none() {
        for odd in
            ["[]", "1", r#"{"content":1}"#, r#"{"content":[1]}"#, r#"{"isError":"x"}"#, r#"{"_meta":[]}"#]
        {
            assert!(matches!(read(&RawJson::parse(odd).unwrap()), Err(Failure::Invalid(_))), "{odd}");
        }
    }
}
