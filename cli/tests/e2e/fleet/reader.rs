//! A client that calls meta-tools of one node for as long as it is ready.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::BASE;
use super::history::Ledger;
use super::roster::{Roster, Standing, Station, is_ready};
use crate::harness::{PATIENCE, http};

/// Between two calls, so that two cores have time for the fleet as well.
const PACE: Duration = Duration::from_millis(25);

/// A refresh once in so many calls: nodes allow few.
const RARELY: u64 = 400;

/// Calls, until dropped.
pub(super) async fn run(index: usize, roster: Arc<Roster>, ledger: Arc<Ledger>) {
    let mut stations = roster.follow(index);
    let mut pace = tokio::time::interval(PACE);
    for turn in 0_u64.. {
        pace.tick().await;
        let station = stations.borrow_and_update().clone();
        if station.standing == Standing::Killed {
            if stations.changed().await.is_err() {
                return;
            }
            continue;
        }
        let is_excused = |standing: Standing| {
            let now = roster.station(index);
            now.life != station.life
                || matches!(now.standing, Standing::Doomed | Standing::Killed)
                || now.standing == standing
        };
        if !is_ready(&station.url).await {
            if !is_excused(Standing::Draining) {
                ledger.failed(format!("node-{index} was ready and is not any more"));
            }
            continue;
        }
        match one(turn, &station).await {
            Ok(()) => ledger.read(index),
            Err(_) if is_excused(Standing::Killed) => {}
            Err(reason) => ledger.failed(format!("node-{index}, call {turn}: {reason}")),
        }
    }
}

async fn one(turn: u64, Station { url, .. }: &Station) -> Result<(), String> {
    if turn % RARELY == RARELY - 1 {
        return refresh(url).await;
    }
    match turn % 3 {
        0 => {
            let domains = served(url).await?;
            let is_there = domains.contains_key(BASE);
            is_there.then_some(()).ok_or_else(|| format!("`{BASE}` is not among {domains:?}"))
        }
        1 => {
            let text = format!("turn-{turn}");
            let arguments = json!({"tool_name": format!("{BASE}_search"), "arguments": {"q": text}});
            let answer = call(url, "execute_tool", arguments).await?.to_string();
            if answer.contains(&text) { Ok(()) } else { Err(answer) }
        }
        _ => {
            let answer = call(url, "get_tool_schema", json!({"tool_name": format!("{BASE}_search")})).await?;
            if answer["domain"] == BASE { Ok(()) } else { Err(answer.to_string()) }
        }
    }
}

/// The one call that needs a control plane: where none can be asked, the answer has to say so in its code. That a node
/// allows no more for now is an answer as well.
async fn refresh(url: &str) -> Result<(), String> {
    match call(url, "refresh_registry", json!({})).await {
        Ok(report) if report["refreshed"].is_array() => Ok(()),
        Ok(report) => Err(report.to_string()),
        Err(reason) if reason.contains("refresh_error") || reason.contains("rate_limited") => Ok(()),
        Err(reason) => Err(reason),
    }
}

/// The domains that a node serves, with their descriptions.
pub(crate) async fn served(url: &str) -> Result<BTreeMap<String, String>, String> {
    let summary = call(url, "discover_tools", json!({})).await?;
    let domains = summary["domains"].as_array().ok_or_else(|| summary.to_string())?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(domains.iter().map(|domain| (text(&domain["name"]), text(&domain["description"]))).collect())
}

/// The JSON that a meta-tool answers with, or what went wrong. Sent on its own, as stateless clients do.
async fn call(url: &str, meta_tool: &str, arguments: Value) -> Result<Value, String> {
    let params = json!({"name": meta_tool, "arguments": arguments});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params});
    let answer = tokio::time::timeout(PATIENCE, http(url, "POST", "/mcp", Some(request))).await;
    let answer = answer.map_err(|_| format!("{meta_tool}: no answer in time"))?;
    let (code, body) = answer.ok_or_else(|| format!("{meta_tool}: the connection broke off"))?;
    let result = &body["result"];
    let text = result["content"][0]["text"].as_str();
    match text.and_then(|text| serde_json::from_str(text).ok()) {
        Some(value) if code == 200 && result["isError"] != true => Ok(value),
        _ => Err(format!("{meta_tool}: {code} {body}")),
    }
}
