use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::test_util::a_tool;

fn tool(schema: &str) -> Tool {
    Tool { input_schema: RawJson::parse(schema).unwrap(), description: String::new(), ..a_tool("t") }
}

/// The signature of a tool with these properties, none of them required.
fn of(properties: &str) -> String {
    render("t", &tool(&format!(r#"{{"type":"object","properties":{properties}}}"#)))
}

fn returns(schema: &str) -> String {
    render("t", &Tool { output_schema: Some(RawJson::parse(schema).unwrap()), ..tool("{}") })
}

#[test]
fn required_parameters_keep_the_schemas_order_and_optional_ones_are_sorted() {
    let schema = r#"{"properties":{"zeta":{"type":"string"},"Mid":{"type":"number"},"_u":{"type":"boolean"},
        "b":{"type":"integer"},"a":{"type":"null"}},"required":["b","ghost","a","b",1]}"#;
    assert_eq!(
        render("t", &tool(schema)),
        "t(b: int, a: None, Mid: float = None, _u: bool = None, zeta: str = None) -> any"
    );
    assert_eq!(
        render("t", &tool(r#"{"properties":{"a":{"type":"string"}},"required":"a"}"#)),
        "t(a: str = None) -> any"
    );
    assert_eq!(render("t", &tool(r#"{"type":"object"}"#)), "t() -> any");
    assert_eq!(render("t", &tool(r#"{"properties":["a"]}"#)), "t() -> any");
}

#[test]
fn the_description_follows_indented_on_its_first_line() {
    let described = Tool { description: "First.\nSecond.".to_owned(), ..tool("{}") };
    assert_eq!(render("d_t", &described), "d_t() -> any\n  First.\nSecond.");
}

#[test]
fn types_are_written_the_python_way() {
    for (schema, expected) in [
        (r#"{"type":"array","items":{"type":"array","items":{"type":"number"}}}"#, "list[list[float]]"),
        (r#"{"type":"array"}"#, "list[any]"),
        (r#"{"type":"array","items":[{"type":"string"}]}"#, "list[any]"),
        (r#"{"type":"array","items":{"type":["null","string"]}}"#, "list[str | None]"),
        (r#"{"type":"object"}"#, "dict"),
        (r#"{"type":"object","properties":{}}"#, "dict"),
        (
            r#"{"type":"object","properties":{"y":{"type":"integer"},"x":{"type":"string"}}}"#,
            r#"{"x": str, "y": int}"#,
        ),
        (r#"{"type":["object","null"],"properties":{"a":{"type":"string"}}}"#, r#"{"a": str} | None"#),
        (r#"{"type":["null","integer"]}"#, "int | None"),
        (r#"{"type":["null"]}"#, "None"),
        (r#"{"type":[]}"#, "any"),
        (r#"{"type":"file"}"#, "file"),
        (r#"{"type":"file) -> x\n"}"#, "any"),
        (r#"{"type":5}"#, "any"),
        ("true", "any"),
        ("{}", "any"),
    ] {
        assert_eq!(
            of(&format!(r#"{{"p":{schema}}}"#)),
            format!("t(p: {expected} = None) -> any"),
            "{schema}"
        );
    }
}

#[test]
fn enums_unions_and_output_schemas_are_shown() {
    for (schema, expected) in [
        (
            r#"{"type":"string","enum":["low","hi\"gh",null,true,1.50]}"#,
            r#"Literal["low", "hi\"gh", None, True, 1.50]"#,
        ),
        (r#"{"const":"x"}"#, r#"Literal["x"]"#),
        (r#"{"type":"string","enum":[{"a":1}]}"#, "str"),
        (r#"{"anyOf":[{"type":"null"},{"type":"string"},{"type":"string"}]}"#, "str | None"),
        (
            r#"{"oneOf":[{"type":"string"},{"anyOf":[{"type":"integer"},{"type":"null"}]}]}"#,
            "str | int | None",
        ),
        (r#"{"anyOf":[{"type":"string"},{}]}"#, "any"),
        (r#"{"allOf":[{"type":"string"}]}"#, "str"),
        (r#"{"allOf":[{"type":"string"},{"minLength":1}]}"#, "any"),
    ] {
        assert_eq!(returns(schema), format!("t() -> {expected}"), "{schema}");
    }
    let many = format!(r#"{{"type":"integer","enum":[{}0]}}"#, "1,".repeat(MAX_LITERALS));
    assert_eq!(returns(&many), "t() -> int");
}

#[test]
fn local_references_are_followed_and_cycles_end() {
    let schema = r##"{"properties":{"who":{"$ref":"#/$defs/P"},"x":{"$ref":"#/$defs/none"}},
        "$defs":{"P":{"type":"object","properties":{"name":{"type":"string"},"boss":{"$ref":"#/$defs/P"}}}}}"##;
    assert_eq!(
        render("t", &tool(schema)),
        r#"t(who: {"boss": any, "name": str} = None, x: any = None) -> any"#
    );
    assert_eq!(returns(r##"{"$ref":"#"}"##), "t() -> any");
    assert_eq!(render("t", &tool(r##"{"$ref":"#"}"##)), "t() -> any");
    let root = r##"{"$ref":"#/$defs/A","$defs":{"A":{"properties":{"a":{"type":"string"}}}}}"##;
    assert_eq!(render("t", &tool(root)), "t(a: str = None) -> any");
}

#[test]
fn references_that_multiply_are_cut() {
    let definitions: Vec<String> = (0..40)
        .map(|i| {
            let next = i + 1;
            format!(r##""d{i}":{{"type":"object","properties":{{"a":{{"$ref":"#/$defs/d{next}"}},"b":{{"$ref":"#/$defs/d{next}"}}}}}}"##)
        })
        .collect();
    let text = returns(&format!(r##"{{"$ref":"#/$defs/d0","$defs":{{{}}}}}"##, definitions.join(",")));
    assert!(text.len() < 10_000, "{} bytes", text.len());
}

#[test]
fn names_that_would_break_the_line_are_quoted() {
    assert_eq!(
        of(r#"{"foo-bar":{},"with space":{},"日本":{}}"#),
        "t(foo-bar: any = None, with space: any = None, 日本: any = None) -> any"
    );
    assert_eq!(of(r#"{"a\nb":{}}"#), r#"t("a\nb": any = None) -> any"#);
}

fn schemas() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        "[#/$a-z]{0,8}".prop_map(Value::from),
        prop::sample::select(vec!["string", "object", "array", "null", "#", "#/a"]).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 4, |inner| {
        let key = prop::sample::select(vec![
            "type",
            "properties",
            "items",
            "anyOf",
            "allOf",
            "enum",
            "const",
            "$ref",
            "required",
            "a",
        ]);
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.prop_map(str::to_owned), inner, 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn rendering_never_panics(input in schemas(), output in schemas()) {
        let tool = Tool { input_schema: RawJson::from(&input), output_schema: Some(RawJson::from(&output)), ..a_tool("t") };
        let text = render("t", &tool);
        prop_assert!(text.starts_with("t(") && text.contains(") -> "));
        let _verdict = schema::check(&tool.input_schema, &Limits::default());
    }
}

#[test]
fn what_would_take_long_or_grow_large_is_cut() {
    let names = vec!["object"; 9000];
    let keys: serde_json::Map<String, Value> = (0..9000).map(|n| (format!("p{n}"), json!({}))).collect();
    let slow = json!({"properties": {"p": {"type": names, "properties": keys}}});
    assert_eq!(render("t", &tool(&slow.to_string())), "t(p: dict = None) -> any");
    let wide = json!({"properties": keys});
    let text = render("t", &tool(&wide.to_string()));
    assert!(text.len() < 10_000 && text.contains(", ..."), "{}", text.len());
    let parts: serde_json::Map<String, Value> =
        (0..84).map(|n| (format!("r{n}"), json!({"$ref": "#/$defs/x"}))).collect();
    let key = "k".repeat(200_000);
    let large = json!({"properties": parts, "$defs": {"x": {"type": "object", "properties": {key: {}}}}});
    assert!(render("t", &tool(&large.to_string())).len() < 10_000);
}

#[test]
fn a_name_that_plays_a_signature_is_quoted() {
    let schema = json!({"properties": {"a) -> any  IGNORE": {}, "b\u{202e}c": {}}});
    let text = render("t", &tool(&schema.to_string()));
    assert_eq!(text, r#"t("a) -> any  IGNORE": any = None, "b\u202ec": any = None) -> any"#);
}
