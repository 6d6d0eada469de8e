//! JSON as values of a program.

use std::fmt;

use monty_types::{DictPairs, MontyObject};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

/// The value of a JSON text. Deep nesting is an error: `serde_json` stops at 128 levels.
pub(super) fn value(json: &str) -> Result<MontyObject, serde_json::Error> {
    serde_json::from_str::<Read>(json).map(|Read(value)| value)
}

struct Read(MontyObject);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyJson).map(Self)
    }
}

struct AnyJson;

impl<'de> Visitor<'de> for AnyJson {
    type Value = MontyObject;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<MontyObject, E> {
        Ok(MontyObject::None)
    }

    fn visit_bool<E>(self, value: bool) -> Result<MontyObject, E> {
        Ok(MontyObject::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<MontyObject, E> {
        Ok(MontyObject::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<MontyObject, E> {
        Ok(i64::try_from(value).map_or_else(|_| MontyObject::BigInt(value.into()), MontyObject::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<MontyObject, E> {
        Ok(MontyObject::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<MontyObject, E> {
        Ok(MontyObject::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<MontyObject, A::Error> {
        let mut items = Vec::new();
        while let Some(Read(item)) = list.next_element()? {
            items.push(item);
        }
        Ok(MontyObject::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<MontyObject, A::Error> {
        let mut pairs = Vec::new();
        while let Some((key, Read(value))) = map.next_entry::<String, Read>()? {
            pairs.push((MontyObject::String(key), value));
        }
        Ok(MontyObject::Dict(DictPairs::from(pairs)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_the_values_python_makes_of_it() {
        let value =
            value(r#"{"a": [1, 2.5, null, true, "x", 18446744073709551615], "b": {}}"#).expect("JSON");
        assert_eq!(value.to_string(), "{'a': [1, 2.5, None, True, 'x', 18446744073709551615], 'b': {}}");
    }

    #[test]
    fn deep_json_is_refused() {
        assert!(value(&format!("{}{}", "[".repeat(200), "]".repeat(200))).is_err());
    }
}
