//! A to-do list that lives as long as the demo.

use std::sync::{Mutex, PoisonError};

use rmcp::model::{JsonObject, Tool};
use serde::Serialize;
use serde_json::{Value, json};

use super::server::{Toolbox, text, tool};

#[derive(Debug, Default)]
pub(super) struct Todo {
    items: Mutex<Vec<Item>>,
}

#[derive(Debug, Clone, Serialize)]
struct Item {
    id: usize,
    title: String,
    done: bool,
}

impl Toolbox for Todo {
    fn domain(&self) -> &'static str {
        "todo"
    }

    fn description(&self) -> &'static str {
        "a shared to-do list"
    }

    fn tools(&self) -> Vec<Tool> {
        let id = ("id", "integer", "Number of the item", true);
        vec![
            tool(
                "todo_item_add",
                "Adds an item to the list.",
                &[("title", "string", "What is to be done", true)],
            ),
            tool("todo_item_complete", "Marks an item as done.", &[id]),
            tool("todo_item_remove", "Removes an item from the list.", &[id]),
            tool(
                "todo_list_show",
                "Shows the items, open ones only unless told otherwise.",
                &[("all", "boolean", "Finished items too", false)],
            ),
        ]
    }

    fn call(&self, tool: &str, arguments: &JsonObject) -> Result<Value, String> {
        let mut items = self.items.lock().unwrap_or_else(PoisonError::into_inner);
        match tool {
            "todo_item_add" => {
                let id = items.iter().map(|item| item.id).max().unwrap_or_default() + 1;
                let item = Item { id, title: text(arguments, "title")?.to_owned(), done: false };
                items.push(item.clone());
                Ok(json!(item))
            }
            "todo_item_complete" => {
                let item = items.iter_mut().find(|item| json!(item.id) == json!(arguments.get("id")));
                let item = item.ok_or("there is no such item")?;
                item.done = true;
                Ok(json!(item))
            }
            "todo_item_remove" => {
                let before = items.len();
                items.retain(|item| json!(item.id) != json!(arguments.get("id")));
                if items.len() == before {
                    Err("there is no such item".to_owned())
                } else {
                    Ok(json!("removed"))
                }
            }
            "todo_list_show" => {
                let all = arguments.get("all").and_then(Value::as_bool).unwrap_or_default();
                Ok(items.iter().filter(|item| all || !item.done).map(|item| json!(item)).collect())
            }
            other => Err(format!("there is no tool `{other}`")),
        }
    }
}
