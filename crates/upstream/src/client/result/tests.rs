//! What of a result survives, and what is refused.

use super::*;

fn tool_result(text: &str) -> Result<ToolResult, Error> {
    match parse_answer(serde_json::from_str(text).unwrap())? {
        Answer::Complete(result) => Ok(result),
        Answer::InputRequired(_) => unreachable!("no result here asks for input"),
    }
}

#[test]
fn a_tool_result_survives_to_the_letter() {
    let block = r#"{"type":"vendor/new","n":12345678901234567890123,"x":1e400,"extra":[ 1 ]}"#;
    let result = tool_result(&format!(
        r#"{{"content":[{block}],"structuredContent":null,"isError":true,"_meta":{{"z":1,"a":2}},"more":1}}"#
    ))
    .unwrap();
    assert_eq!(result.content[0].as_str(), block);
    assert_eq!(result.structured_content.unwrap().as_str(), "null");
    assert_eq!(result.meta.unwrap().as_str(), r#"{"z":1,"a":2}"#);
    assert!(result.is_error);
    assert_eq!(result.extra, [("more".to_owned(), RawJson::parse("1").unwrap())]);
}

#[test]
fn an_odd_block_harms_no_other() {
    let result =
        tool_result(r#"{"content":["odd",{"type":"text","text":"a"},null,{"type":5}],"isError":null}"#);
    let texts: Vec<String> = result.unwrap().content.iter().map(|block| block.as_str().to_owned()).collect();
    assert_eq!(texts, [r#""odd""#, r#"{"type":"text","text":"a"}"#, "null", r#"{"type":5}"#]);
}

#[test]
fn a_result_that_asks_for_input_is_data() {
    let text = r#"{"resultType":"input_required","requestState":"s","inputRequests":{"a":1e400}}"#;
    let answer = parse_answer(serde_json::from_str(text).unwrap()).unwrap();
    let members = vec![("inputRequests".to_owned(), RawJson::parse(r#"{"a":1e400}"#).unwrap())];
    let request_state = Some("s".to_owned());
    assert_eq!(answer, Answer::InputRequired(InputRequired { request_state, members }));
    let odd = r#"{"requestState":5,"resultType":"input_required"}"#;
    assert!(parse_answer(serde_json::from_str(odd).unwrap()).is_err());
    let complete = tool_result(r#"{"resultType":"complete","content":[]}"#).unwrap();
    assert!(complete.extra.is_empty(), "what a result is called on one hop stays there");
}

#[test]
fn structured_content_may_stand_alone() {
    let result = tool_result(r#"{"structuredContent":{"value":7}}"#).unwrap();
    assert!(result.content.is_empty() && !result.is_error && result.meta.is_none());
    assert_eq!(result.structured_content.unwrap().as_str(), r#"{"value":7}"#);
}

#[test]
fn what_is_no_tool_result_is_refused() {
    for text in
        [r#"{"content":"nope"}"#, r#"{"content":null}"#, r#"{"content":[],"isError":"no"}"#, "{}", "[]", "7"]
    {
        assert!(matches!(tool_result(text), Err(Error::Protocol(_))), "{text}");
    }
}

#[test]
fn a_result_of_more_parts_than_anybody_reads_is_refused() {
    let blocks = |number: usize| format!(r#"{{"content":[{}0]}}"#, "0,".repeat(number - 1));
    assert_eq!(tool_result(&blocks(MAX_PARTS)).unwrap().content.len(), MAX_PARTS);
    assert!(tool_result(&blocks(MAX_PARTS + 1)).is_err());
    let members = format!("{{{}\"content\":[]}}", r#""a":0,"#.repeat(MAX_PARTS));
    assert!(tool_result(&members).is_err());
}
