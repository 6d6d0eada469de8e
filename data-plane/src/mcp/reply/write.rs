//! A result as it is written into a response: by hand, since its parts are JSON already and every call has one.

use super::{Outcome, Reply, Text};
use crate::mcp::pieces::Pieces;

impl Outcome {
    /// Writes it.
    pub(in crate::mcp) fn write(&self, out: &mut Pieces) {
        match self {
            Self::Complete(reply) => reply.write(out),
            Self::InputRequired(whole) => out.document(whole),
        }
    }
}

impl Reply {
    fn write(&self, out: &mut Pieces) {
        let Self { result_type, text, wraps, content, structured, is_error, failure: _, meta, extra } = self;
        out.put("{");
        if let Some(result_type) = result_type {
            out.put(r#""resultType":"#);
            out.string(result_type);
            out.put(",");
        }
        out.put(r#""content":["#);
        if let Some(text) = text {
            out.put(r#"{"type":"text","text":"#);
            text.write(out);
            out.put("}");
        }
        for (position, block) in content.iter().enumerate() {
            if position > 0 || text.is_some() {
                out.put(",");
            }
            out.document(block);
        }
        out.put("]");
        match (structured, text) {
            (Some(structured), _) => {
                out.put(r#","structuredContent":"#);
                out.document(structured);
            }
            (None, Some(text)) if *wraps => {
                out.put(r#","structuredContent":{"result":"#);
                text.write(out);
                out.put("}");
            }
            (None, _) => {}
        }
        out.put(if *is_error { r#","isError":true"# } else { r#","isError":false"# });
        if let Some(meta) = meta {
            out.put(r#","_meta":"#);
            out.document(meta);
        }
        for (key, value) in extra {
            out.put(",");
            out.string(key);
            out.put(":");
            out.document(value);
        }
        out.put("}");
    }
}

impl Text {
    fn write(&self, out: &mut Pieces) {
        match self {
            Self::Own(text) => out.string(text),
            Self::Shared(string) => out.document(string),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};
    use toolplane_registry::RawJson;

    use super::*;
    use crate::options::ErrorResults;

    pub(in crate::mcp::reply) fn written(outcome: &Outcome) -> Value {
        let mut out = Pieces::new();
        outcome.write(&mut out);
        serde_json::from_slice(&out.concat()).unwrap()
    }

    fn raw(text: &str) -> RawJson {
        RawJson::parse(text).unwrap()
    }

    #[test]
    fn every_member_is_written_where_it_is_there_and_only_there() {
        let block = json!({"type": "text", "text": "a \"b\""});
        let plain = written(&Reply::text("a \"b\"").into());
        assert_eq!(plain, json!({"content": [block], "isError": false}));
        let reply = Reply {
            structured: Some(raw("null")),
            meta: Some(raw(r#"{"m":1}"#)),
            extra: [("x\"".to_owned(), raw("1")), ("y".to_owned(), raw("[2]"))].into(),
            content: vec![raw(r#"{"type":"image"}"#), raw("3")],
            ..Reply::failure("upstream_error", "a \"b\"", ErrorResults::IsError).complete()
        };
        let expected = json!({
            "resultType": "complete", "content": [block, {"type": "image"}, 3], "structuredContent": null,
            "isError": true, "_meta": {"m": 1}, "x\"": 1, "y": [2],
        });
        assert_eq!(written(&reply.into()), expected);
    }

    #[test]
    fn blocks_stand_alone_where_there_is_no_text() {
        let expected = json!({"content": [1, 2], "isError": false});
        assert_eq!(written(&Reply::blocks(vec![raw("1"), raw("2")]).into()), expected);
        assert_eq!(written(&Reply::blocks(Vec::new()).into()), json!({"content": [], "isError": false}));
    }

    #[test]
    fn a_shared_text_is_written_as_an_own_one_is() {
        let text = "one\n\"two\"";
        let shared = Reply::wrapped_string(RawJson::from(&json!(text)));
        assert_eq!(written(&shared.into()), written(&Reply::wrapped(text).into()));
        let said = written(&Reply::wrapped(text).into());
        assert_eq!(
            (&said["structuredContent"]["result"], &said["content"][0]["text"]),
            (&json!(text), &json!(text))
        );
    }
}
