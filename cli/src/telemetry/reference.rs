//! The table of metrics in `docs/OPERATIONS.md`, made from what the planes declare, and the alert rules and the
//! dashboard held against it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use opentelemetry::metrics::{
    AsyncInstrumentBuilder, Counter, Gauge, Histogram, HistogramBuilder, InstrumentBuilder,
    InstrumentProvider, Meter, ObservableCounter, ObservableGauge, ObservableUpDownCounter, UpDownCounter,
};
use serde_json::Value;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATIONS.md");
const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/observability/alerts.yaml");
const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/observability/dashboard.json");
const BEGIN: &str = "<!-- begin: metrics (made from the metrics.rs of both planes) -->\n";
const END: &str = "<!-- end: metrics -->";

/// An instrument as it was declared: kind, unit, description.
type Declared = BTreeMap<String, (&'static str, String, String)>;

#[derive(Default)]
struct Declarations(Mutex<Declared>);

macro_rules! note {
    ($($method:ident, $builder:ty, $instrument:ty, $kind:literal;)*) => {$(
        fn $method(&self, builder: $builder) -> $instrument {
            let text = |text: Option<std::borrow::Cow<'static, str>>| text.unwrap_or_default().into_owned();
            let (unit, description) = (text(builder.unit), text(builder.description));
            let before = self.0.lock().unwrap().insert(builder.name.clone().into_owned(), ($kind, unit, description));
            assert!(before.is_none(), "`{}` is declared twice", builder.name);
            nothing().$method(builder.name).build()
        }
    )*};
}

impl InstrumentProvider for Declarations {
    note! {
        u64_counter, InstrumentBuilder<'_, Counter<u64>>, Counter<u64>, "counter";
        i64_up_down_counter, InstrumentBuilder<'_, UpDownCounter<i64>>, UpDownCounter<i64>, "gauge";
        u64_gauge, InstrumentBuilder<'_, Gauge<u64>>, Gauge<u64>, "gauge";
        u64_observable_gauge, AsyncInstrumentBuilder<'_, ObservableGauge<u64>, u64>, ObservableGauge<u64>, "gauge";
        f64_observable_gauge, AsyncInstrumentBuilder<'_, ObservableGauge<f64>, f64>, ObservableGauge<f64>, "gauge";
        u64_observable_counter, AsyncInstrumentBuilder<'_, ObservableCounter<u64>, u64>, ObservableCounter<u64>, "counter";
        i64_observable_up_down_counter, AsyncInstrumentBuilder<'_, ObservableUpDownCounter<i64>, i64>, ObservableUpDownCounter<i64>, "gauge";
        f64_observable_up_down_counter, AsyncInstrumentBuilder<'_, ObservableUpDownCounter<f64>, f64>, ObservableUpDownCounter<f64>, "gauge";
        f64_histogram, HistogramBuilder<'_, Histogram<f64>>, Histogram<f64>, "histogram";
        u64_histogram, HistogramBuilder<'_, Histogram<u64>>, Histogram<u64>, "histogram";
    }
}

struct Nothing;

impl InstrumentProvider for Nothing {}

fn nothing() -> Meter {
    Meter::new(Arc::new(Nothing))
}

fn declared() -> Declared {
    let declarations = Arc::new(Declarations::default());
    let meter = Meter::new(Arc::<Declarations>::clone(&declarations));
    toolplane_control_plane::metrics::Metrics::declare(&meter);
    toolplane_data_plane::metrics::Metrics::declare(&meter);
    std::mem::take(&mut *declarations.0.lock().unwrap())
}

/// The name that Prometheus knows it by.
fn exposed(name: &str, kind: &str, unit: &str) -> String {
    let unit = match unit {
        "s" => "_seconds",
        "By" => "_bytes",
        _ => "",
    };
    format!("{}{unit}{}", name.replace('.', "_"), if kind == "counter" { "_total" } else { "" })
}

fn reference() -> String {
    let mut table = "\n| metric | kind | what it tells |\n|---|---|---|\n".to_owned();
    for (name, (kind, unit, description)) in declared() {
        assert!(name.starts_with("toolplane.") && description.ends_with('.'), "{name}");
        writeln!(table, "| `{}` | {kind} | {description} |", exposed(&name, kind, &unit)).unwrap();
    }
    table.push('\n');
    table
}

#[test]
fn the_table_of_metrics_matches_the_instruments() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a begin mark");
    let (table, after) = rest.split_once(END).expect("an end mark");
    if table == reference() {
        return;
    }
    if crate::env::Variables::of_process().0.named("UPDATE_REFERENCE").is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
        return;
    }
    panic!("docs/OPERATIONS.md is out of date: run this test with UPDATE_REFERENCE=1");
}

#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    let rules = std::fs::read_to_string(RULES).unwrap();
    asks_for_what_exists(rules.lines().filter_map(|line| line.trim_start().strip_prefix("expr:")));
}

#[test]
fn the_dashboard_asks_for_metrics_that_exist() {
    let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let shown = panels.iter().filter(|panel| panel["type"] != "row");
    let mut asked = Vec::new();
    for panel in shown {
        let targets = panel["targets"].as_array().unwrap();
        assert!(!targets.is_empty(), "{panel}");
        asked.extend(targets.iter().map(|target| target["expr"].as_str().unwrap()));
    }
    asks_for_what_exists(asked.into_iter());
}

/// Holds every name in some queries against what the planes measure.
fn asks_for_what_exists<'a>(queries: impl Iterator<Item = &'a str>) {
    let known: Vec<(String, &str)> =
        declared().iter().map(|(name, (kind, unit, _))| (exposed(name, kind, unit), *kind)).collect();
    let words = queries.flat_map(|text| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let asked: Vec<&str> =
        words.filter(|word| word.starts_with("toolplane_") && !is_attribute(word)).collect();
    assert!(!asked.is_empty());
    for metric in asked {
        let base = ["_bucket", "_count", "_sum"].iter().find_map(|suffix| metric.strip_suffix(suffix));
        let is_known = known.iter().any(|(name, kind)| match *kind {
            "histogram" => base == Some(name),
            _ => name == metric,
        });
        assert!(is_known, "nobody measures `{metric}`");
    }
}

fn is_attribute(word: &str) -> bool {
    ["outcome", "code", "meta_tool", "domain", "limit", "reason", "rule", "pool", "trigger", "table"]
        .iter()
        .any(|attribute| word.strip_prefix("toolplane_") == Some(*attribute))
}
