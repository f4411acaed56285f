//! A thousand simulated agents at one real Ironic: their heartbeats come evenly spread.
//!
//! The agents are tasks of `ipa-load`, which speaks the product's own code. `cargo xtask load` runs this alone, with
//! other numbers if wanted, and shows the report.

use std::fs;
use std::process::{Command, Stdio};
use std::str::FromStr;

use ipa_tests::real_ironic::{Ironic, Setup};
use ipa_tests::{artifacts, processes};
use serde_json::Value;

/// Longest time that the agents live, in seconds. They end when enough was seen, which is half of it on two processors
/// that others use as well.
const LIMIT_S: u64 = 180;
/// The heartbeats are judged once each agent has sent this many.
const SETTLED: u32 = 2;
/// What the agents are told as the longest time between two heartbeats, in seconds. A thousand then send 44 a second on
/// average, which Ironic answers with less than one processor.
const HEARTBEAT_TIMEOUT_S: u32 = 50;

/// What `cargo xtask load` asks for.
fn asked<T: FromStr>(variable: &str) -> Option<T> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is {text:?}, which is no number in range")))
}

/// Each agent finds its node, Ironic refuses no heartbeat unless it is at work on the node, the waits fill their range
/// evenly, and so do the heartbeats one interval of time. How fast Ironic answers is told, not judged.
#[test]
#[ignore = "needs Ironic; cargo xtask test has it"]
fn jitter_spreads_the_heartbeats_of_a_thousand_agents_evenly() {
    let agents = asked("IPA_LOAD_AGENTS").unwrap_or(1000_u16);
    let limit = asked("IPA_LOAD_SECONDS").unwrap_or(LIMIT_S);
    let heartbeat_timeout_s = asked("IPA_LOAD_TIMEOUT").unwrap_or(HEARTBEAT_TIMEOUT_S);
    let settled = asked("IPA_LOAD_SETTLED").unwrap_or(SETTLED);
    let tool = artifacts::load_tool();
    let ironic = Ironic::of_its_own(Setup { heartbeat_timeout_s, debug: false });
    let nodes = ironic.enrol_many(agents);
    let json = artifacts::target_dir().join("load.json");
    let mut command = Command::new(tool);
    command.args(["--url", ironic.api().url(), "--seconds", &limit.to_string()]);
    command.args(["--settled", &settled.to_string()]);
    command.arg("--cafile").arg(ironic.authority()).arg("--nodes").arg(&nodes).arg("--json").arg(&json);
    let output = processes::spawn_untagged(command.stdin(Stdio::null()).stdout(Stdio::piped())).wait_with_output();
    let text = String::from_utf8_lossy(&output.expect("a child can be waited for").stdout).into_owned();
    println!("{text}");
    assert!(!text.is_empty(), "there is no report");

    let report: Value = serde_json::from_slice(&fs::read(json).expect("a report")).expect("JSON");
    assert_eq!(report["lookups"]["found"], agents);
    let heartbeats = &report["heartbeats"];
    let failures = heartbeats["failures"].as_object().expect("reasons and how often each");
    assert!(failures.keys().all(|why| why.starts_with("no complete answer within")), "{heartbeats:#}");
    assert!(heartbeats["accepted"].as_u64() >= Some(u64::from(settled) * u64::from(agents)), "{heartbeats:#}");
    for what in ["waits", "moments"] {
        let spread = &report[what];
        assert_eq!(spread["even"], true, "{what}: {spread:#}");
    }
}
