//! A unit converter.

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

use super::server::{Toolbox, number, text, tool};

#[derive(Debug)]
pub(super) struct Units;

/// Meters in one of each.
const LENGTHS: [(&str, f64); 6] =
    [("mm", 0.001), ("m", 1.0), ("km", 1000.0), ("in", 0.0254), ("ft", 0.3048), ("mi", 1609.344)];
/// Kilograms in one of each.
const WEIGHTS: [(&str, f64); 4] =
    [("g", 0.001), ("kg", 1.0), ("oz", 0.028_349_523_125), ("lb", 0.453_592_37)];

impl Toolbox for Units {
    fn domain(&self) -> &'static str {
        "units"
    }

    fn description(&self) -> &'static str {
        "conversion of lengths, weights and temperatures"
    }

    fn tools(&self) -> Vec<Tool> {
        let convert = |name, description| {
            tool(
                name,
                description,
                &[
                    ("value", "number", "The amount", true),
                    ("from", "string", "Unit it is in", true),
                    ("to", "string", "Unit it should be in", true),
                ],
            )
        };
        vec![
            convert("convert_length", "Converts a length between mm, m, km, in, ft and mi."),
            convert("convert_weight", "Converts a weight between g, kg, oz and lb."),
            convert("convert_temperature", "Converts a temperature between C, F and K."),
            tool("list_units", "Lists the units that are known.", &[]),
        ]
    }

    fn call(&self, tool: &str, arguments: &JsonObject) -> Result<Value, String> {
        let by_table = |table: &[(&str, f64)]| {
            let factor = |unit: &str| {
                let found = table.iter().find(|(name, _)| *name == unit);
                found.map(|(_, factor)| *factor).ok_or_else(|| format!("`{unit}` is not a unit for this"))
            };
            let (from, to) = (factor(text(arguments, "from")?)?, factor(text(arguments, "to")?)?);
            answer(number(arguments, "value")? * from / to, arguments)
        };
        match tool {
            "convert_length" => by_table(&LENGTHS),
            "convert_weight" => by_table(&WEIGHTS),
            "convert_temperature" => {
                let kelvin = match (text(arguments, "from")?, number(arguments, "value")?) {
                    ("C", value) => value + 273.15,
                    ("F", value) => (value + 459.67) / 1.8,
                    ("K", value) => value,
                    (unit, _) => return Err(format!("`{unit}` is not a temperature")),
                };
                let value = match text(arguments, "to")? {
                    "C" => kelvin - 273.15,
                    "F" => kelvin * 1.8 - 459.67,
                    "K" => kelvin,
                    unit => return Err(format!("`{unit}` is not a temperature")),
                };
                answer(value, arguments)
            }
            "list_units" => {
                let names =
                    |table: &[(&'static str, f64)]| table.iter().map(|(name, _)| *name).collect::<Vec<_>>();
                Ok(
                    json!({"length": names(&LENGTHS), "weight": names(&WEIGHTS), "temperature": ["C", "F", "K"]}),
                )
            }
            other => Err(format!("there is no tool `{other}`")),
        }
    }
}

/// Binary fractions are not what people want to read.
fn answer(value: f64, arguments: &JsonObject) -> Result<Value, String> {
    Ok(json!({"value": (value * 1e6).round() / 1e6, "unit": text(arguments, "to")?}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_convert() {
        let call = |tool: &str, value: f64, from: &str, to: &str| {
            let arguments = json!({"value": value, "from": from, "to": to});
            Units.call(tool, arguments.as_object().unwrap()).map(|answer| answer["value"].as_f64().unwrap())
        };
        assert_eq!(call("convert_length", 26.2, "mi", "km"), Ok(42.164_813));
        assert_eq!(call("convert_temperature", 212.0, "F", "C"), Ok(100.0));
        assert!(call("convert_weight", 1.0, "kg", "km").is_err());
    }
}
