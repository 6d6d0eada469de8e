//! A small CRM with made-up people.

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

use super::server::{Toolbox, text, tool};

#[derive(Debug)]
pub(super) struct Crm;

impl Toolbox for Crm {
    fn domain(&self) -> &'static str {
        "crm"
    }

    fn description(&self) -> &'static str {
        "contacts, companies and deals"
    }

    fn tools(&self) -> Vec<Tool> {
        let query = ("query", "string", "Part of a name, company or title", true);
        vec![
            tool("crm_contacts_search", "Finds contacts by name, company or title.", &[query]),
            tool("crm_contacts_get", "Shows one contact.", &[("email", "string", "Mail address", true)]),
            tool("crm_companies_list", "Lists the companies and how many contacts each has.", &[]),
            tool(
                "crm_deals_list",
                "Lists deals by stage.",
                &[("stage", "string", "open, won or lost", false)],
            ),
        ]
    }

    fn call(&self, tool: &str, arguments: &JsonObject) -> Result<Value, String> {
        match tool {
            "crm_contacts_search" => {
                let query = text(arguments, "query")?.to_lowercase();
                Ok(contacts()
                    .into_iter()
                    .filter(|one| one.to_string().to_lowercase().contains(&query))
                    .collect())
            }
            "crm_contacts_get" => {
                let email = text(arguments, "email")?;
                let found =
                    contacts().into_iter().find(|contact| contact.get("email") == Some(&json!(email)));
                found.ok_or_else(|| "there is no such contact".to_owned())
            }
            "crm_companies_list" => Ok(json!([
                {"name": "Northwind Instruments", "contacts": 2},
                {"name": "Halyard & Pine", "contacts": 1},
            ])),
            "crm_deals_list" => {
                let stage = arguments.get("stage").and_then(Value::as_str);
                let wanted =
                    |deal: &Value| stage.is_none_or(|stage| deal.get("stage") == Some(&json!(stage)));
                Ok(deals().into_iter().filter(wanted).collect())
            }
            other => Err(format!("there is no tool `{other}`")),
        }
    }
}

fn contacts() -> Vec<Value> {
    vec![
        json!({"name": "Mira Okafor", "email": "mira@northwind.example", "title": "Head of Research", "company": "Northwind Instruments"}),
        json!({"name": "Tomas Lindqvist", "email": "tomas@northwind.example", "title": "Purchasing", "company": "Northwind Instruments"}),
        json!({"name": "Ines Duarte", "email": "ines@halyard.example", "title": "Founder", "company": "Halyard & Pine"}),
    ]
}

fn deals() -> Vec<Value> {
    vec![
        json!({"name": "Spectrometers 2026", "company": "Northwind Instruments", "stage": "open", "amount": 48_000}),
        json!({"name": "Workshop tables", "company": "Halyard & Pine", "stage": "won", "amount": 7_200}),
    ]
}
