//! A pool of real workers and tools that answer at once.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use serde_json::Value as Json;
use serde_json::value::to_raw_value;
use toolplane_sandbox::pool::{Answered, Given};
use toolplane_sandbox::{
    Calls, Effect, Failure, Limits, NestedCall, Options, Outcome, Pool, Program, Tool, ToolFailure,
};

/// The tools of these tests, by place.
pub(crate) const TOOLS: [(&str, &[&str]); 5] = [
    ("echo", &["message", "times"]),
    ("fail", &["message"]),
    ("slow", &["seconds"]),
    ("big", &["bytes"]),
    ("never", &[]),
];

pub(crate) struct Tools;

impl Calls for Tools {
    fn call(&self, call: NestedCall) -> Pin<Box<dyn Future<Output = Answered> + Send + '_>> {
        Box::pin(async move {
            let arguments: Json = serde_json::from_str(call.arguments.get()).expect("JSON");
            let text = |name: &str| arguments[name].as_str().unwrap_or_default().to_owned();
            match TOOLS.get(call.tool).map(|(name, _)| *name) {
                Some("echo") => Ok(call.arguments.into()),
                Some("fail") => {
                    let (code, message) = ("upstream_error".to_owned(), text("message"));
                    Err(ToolFailure { code, message, effect: Effect::Unknown })
                }
                Some("slow") => {
                    tokio::time::sleep(Duration::from_secs_f64(
                        arguments["seconds"].as_f64().unwrap_or(0.05),
                    ))
                    .await;
                    Ok(raw(&Json::from("slept")))
                }
                Some("big") => {
                    let bytes = arguments["bytes"].as_u64().expect("a number");
                    Ok(raw(&Json::from("x".repeat(usize::try_from(bytes).expect("a size")))))
                }
                Some("never") => std::future::pending().await,
                other => panic!("{other:?}"),
            }
        })
    }
}

fn raw(value: &Json) -> Given {
    to_raw_value(value).expect("JSON").into()
}

pub(crate) fn options() -> Options {
    Options {
        ready: 1,
        binary: Some(env!("CARGO_BIN_EXE_toolplane-sandbox-worker").into()),
        ..Options::default()
    }
}

pub(crate) fn pool() -> Pool {
    Pool::new(options()).expect("a pool")
}

pub(crate) fn program(source: &str, limits: Limits) -> Program {
    let tool = |(name, parameters): &(&str, &[&str])| Tool {
        identifier: (*name).to_owned(),
        parameters: parameters.iter().map(|&name| name.to_owned()).collect(),
    };
    Program { source: source.to_owned(), tools: TOOLS.iter().map(tool).collect(), limits }
}

pub(crate) async fn run(source: &str) -> Outcome {
    run_with(source, Limits::default()).await
}

pub(crate) async fn run_with(source: &str, limits: Limits) -> Outcome {
    pool().run(&program(source, limits), &Tools).await
}

/// The text of the result.
pub(crate) async fn text(source: &str) -> String {
    let outcome = run(source).await;
    match outcome.end {
        Ok(value) => value.text,
        Err(failure) => panic!("{source}: {failure:?}"),
    }
}

pub(crate) async fn failure(source: &str) -> Failure {
    failure_with(source, Limits::default()).await
}

pub(crate) async fn failure_with(source: &str, limits: Limits) -> Failure {
    let outcome = run_with(source, limits).await;
    match outcome.end {
        Ok(value) => panic!("{source}: {value:?}"),
        Err(failure) => failure,
    }
}
