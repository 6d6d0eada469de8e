use proptest::prelude::*;

use super::*;

fn verdict(text: &str) -> Result<(), String> {
    check(&RawJson::parse(text).unwrap(), &Limits::default())
}

#[test]
fn sloppy_schemas_are_accepted() {
    for text in [
        "{}",
        r#"{"type":"object"}"#,
        r#"{"properties":{"a":{"type":"string"}},"required":["a"]}"#,
        r#"{"type":"array","items":{"type":"string"}}"#,
        r#"{"type":"object","additionalProperties":true}"#,
        r#"{"type":"object","properties":["a"],"required":"a"}"#,
        r#"{"type":"object","properties":{"n":{"maximum":1e400}}}"#,
    ] {
        assert_eq!(verdict(text), Ok(()), "{text}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    for text in ["[]", "\"x\"", "null", "true"] {
        assert!(verdict(text).unwrap_err().contains("not a JSON object"), "{text}");
    }
}

#[test]
fn local_references_must_lead_somewhere() {
    let with = |reference: &str| {
        verdict(&format!(
            r#"{{"properties":{{"a":{{"$ref":"{reference}"}},"list":{{"items":[{{"type":"string"}}]}}}},
                "$defs":{{"A b/c":{{"$anchor":"here"}},"D":{{"$id":"d.json"}}}}}}"#
        ))
    };
    for good in ["#", "#/$defs/A%20b~1c", "#/properties/list/items/0", "#here", "d.json"] {
        assert_eq!(with(good), Ok(()), "{good}");
    }
    for bad in ["#/$defs/B", "#nowhere", "#/%zz", "#/properties/list/items/1"] {
        assert!(with(bad).unwrap_err().contains("leads nowhere"), "{bad}");
    }
    for remote in ["https://example.com/s.json", "other.json#/a", "file:///etc/passwd", ""] {
        assert!(with(remote).unwrap_err().contains("another document"), "{remote}");
    }
}

#[test]
fn cycles_are_fine() {
    assert_eq!(verdict(r##"{"$ref":"#"}"##), Ok(()));
    assert_eq!(verdict(r##"{"$defs":{"A":{"$ref":"#/$defs/B"},"B":{"$ref":"#/$defs/A"}}}"##), Ok(()));
}

#[test]
fn data_and_parameter_names_are_no_references() {
    assert_eq!(verdict(r#"{"properties":{"$ref":{"type":"string"},"enum":{"type":"string"}}}"#), Ok(()));
    assert_eq!(verdict(r#"{"properties":{"a":{"const":{"$ref":"https://example.com"}}}}"#), Ok(()));
    assert!(verdict(r#"{"properties":{"enum":{"$ref":"https://example.com"}}}"#).is_err());
}

#[test]
fn depth_counts_containers_but_not_optional_wrappers() {
    let limits = Limits { max_depth: 5, ..Limits::default() };
    let at = |text: &str| check(&RawJson::parse(text).unwrap(), &limits);
    let nested = r#"{"properties":{"a":{"items":{"items":{"type":"string"}}}}}"#;
    assert_eq!(at(nested), Ok(()));
    assert!(at(&nested.replace(r#"{"type":"string"}"#, r#"{"items":{}}"#)).is_err());
    let mut wrapped = r#"{"type":"string"}"#.to_owned();
    for _ in 0..60 {
        wrapped = format!(r#"{{"anyOf":[{wrapped},{{"type":"null"}}]}}"#);
    }
    assert_eq!(at(&format!(r#"{{"properties":{{"x":{wrapped}}}}}"#)), Ok(()));
}

#[test]
fn size_and_nesting_are_bounded() {
    let deep = format!("{}{}", r#"{"a":"#.repeat(100), "1".to_owned() + &"}".repeat(100));
    assert!(verdict(&deep).unwrap_err().contains("deeper"));
    let abyss = format!("{}1{}", r#"{"a":"#.repeat(5_000), "}".repeat(5_000));
    assert!(verdict(&abyss).unwrap_err().contains("deeper"));
    let wide = format!(r#"{{"enum":[{}1]}}"#, "1,".repeat(30_000));
    assert!(verdict(&wide).unwrap_err().contains("values"));
    let long = format!(r#"{{"description":"{}"}}"#, "x".repeat(300_000));
    assert!(verdict(&long).unwrap_err().contains("bytes"));
}

proptest! {
    #[test]
    fn checking_never_panics(text in any::<String>(), key in "[$a-z#/~%]{0,8}", reference in "[#/$a-z~%0-9]{0,16}") {
        let text = serde_json::to_string(&text).unwrap();
        let key = serde_json::to_string(&key).unwrap();
        let reference = serde_json::to_string(&reference).unwrap();
        let raw = format!(r#"{{{key}:{{"$ref":{reference}}},"$defs":{{"a":[{text}]}},"x":{text}}}"#);
        let _verdict = verdict(&raw);
    }
}
