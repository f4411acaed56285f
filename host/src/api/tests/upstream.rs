//! Every answer next to that of the Python agent.
//!
//! `tests/fixtures/api/upstream.json` was recorded by `tests/upstream/api_answers.py` from ironic-python-agent 13.0.0,
//! with managers that do what the fake ones here do. Where we differ on purpose, [`DIFFERENCES`] says how and why; a
//! difference that is no longer one fails the test, too.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use super::client::{Answer, Fixture, serve, settings};
use crate::agent::Settings;
use crate::api::{Limits, Transport};
use crate::testing::TOKEN;

/// Our answer to one request where it is another: scenario, number of the request, status, a part of the body, reason.
const DIFFERENCES: &[(&str, usize, u16, &str, &str)] = &[
    ("routes", 9, 200, "started_at", PROXY),
    ("routes", 13, 404, "404 Not Found", PROXY),
    ("routes", 41, 200, "started_at", PROXY),
    ("routes", 42, 200, "http://agent.example:9999/v1", PROXY),
    ("token", 20, 400, "Failed to decode JSON object: ", PARSER),
    ("bodies", 0, 400, "Failed to decode JSON object: ", PARSER),
    ("bodies", 1, 400, "Failed to decode JSON object: ", PARSER),
    ("bodies", 2, 400, "Failed to decode JSON object: ", PARSER),
    ("bodies", 4, 400, "Failed to decode JSON object: ", PARSER),
    ("bodies", 7, 500, "must be a JSON object", PYTHON),
    ("bodies", 8, 500, "must be a JSON object", PYTHON),
    ("bodies", 9, 500, "must be a JSON object", PYTHON),
    ("bodies", 16, 500, "name of a command must be text", PYTHON),
    ("bodies", 17, 500, "name of a command must be text", PYTHON),
    ("bodies", 18, 500, "name of a command must be text", PYTHON),
    ("bodies", 28, 500, "parameter called command_name", PYTHON),
    ("bodies", 29, 500, "parameter called self", PYTHON),
    ("bodies", 30, 500, "parameter called command_name", PYTHON),
    ("busy", 5, 400, "Failed to decode JSON object: ", PARSER),
    ("a foreign error of a synchronous command", 0, 200, r#""type":"CommandExecutionError""#, POISON),
    ("a foreign error of a synchronous command", 1, 200, r#"unexpected argument \"unknown\""#, POISON),
    ("a missing argument of a synchronous command", 0, 200, r#""type":"CommandExecutionError""#, POISON),
    ("a missing argument of a synchronous command", 1, 200, "missing argument ports", POISON),
];
const PROGRESS: &str = r#","progress":{"percent":40,"message":"waiting"}"#;
const PROXY: &str = "cheroot takes a target of this form for a request to a proxy; HTTP says that servers accept it";
const PARSER: &str = "another parser words its errors in another way";
const PYTHON: &str = "the text is that of a Python exception";
const POISON: &str = "the Python agent cannot serialise the error, now and in every list from then on";

/// Sentences of our own in the details of errors: theirs, and ours.
const SENTENCES: &[(&str, &str)] = &[
    ("Unexpected exception performing clean step acme_foreign_error.", "clean step acme_foreign_error failed."),
    ("Unexpected exception performing deploy step acme_foreign_error.", "deploy step acme_foreign_error failed."),
    ("Unexpected exception performing service step acme_foreign_error.", "service step acme_foreign_error failed."),
    (
        "the password file cannot be written",
        "/etc/ipa-rescue-config/ipa-rescue-password: the rescue password cannot be written: No such file or directory (os error 2)",
    ),
    ("{'interface': 'deploy'}", r#"{\"interface\":\"deploy\"}"#),
    (
        "CleanExtension.execute_clean_step() missing 2 required positional arguments: 'node' and 'ports'",
        "execute_clean_step: missing argument node, ports",
    ),
    (
        "CleanExtension.execute_clean_step() missing 3 required positional arguments: 'step', 'node', and 'ports'",
        "execute_clean_step: missing argument step, node, ports",
    ),
    (
        "clean.execute_clean_step was failed",
        "clean.execute_clean_step failed: Error erasing block device: Block device /dev/sda is frozen and cannot be erased",
    ),
];

#[tokio::test]
async fn the_answers_are_those_of_the_python_agent() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/api/upstream.json");
    let recorded: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let mut differences: BTreeSet<(String, usize)> =
        DIFFERENCES.iter().map(|(scenario, number, ..)| ((*scenario).to_owned(), *number)).collect();
    let mut compared = 0;
    let mut wrong = Vec::new();
    for (scenario, rows) in recorded["scenarios"].as_object().unwrap() {
        let fixture = fixture_for(scenario);
        let mut ids = Vec::new();
        for (number, row) in rows.as_array().unwrap().iter().enumerate() {
            if row.get("action").is_some() {
                fixture.managers.release.send_replace(true);
                continue;
            }
            let answer = send(&fixture, row, &ids).await;
            // Running commands may tell their progress, which the Python agent does not.
            let ours = String::from_utf8(answer.body.clone()).unwrap().replace(PROGRESS, "");
            let ours = hide(&ours, &mut ids);
            let difference = DIFFERENCES.iter().find(|(s, n, ..)| s == scenario && *n == number);
            let verdict = match difference {
                Some((.., status, part, reason)) => {
                    differences.remove(&(scenario.clone(), number));
                    differs(&answer, &ours, row, *status, part, reason)
                }
                None => same(&answer, &ours, row),
            };
            if let Err(why) = verdict {
                wrong.push(format!("{scenario} {number} {} {}: {why}", row["method"], row["target"]));
            }
            compared += 1;
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(differences.is_empty(), "no such requests: {differences:?}");
    assert!(compared > 150, "only {compared} answers were compared");
}

fn fixture_for(scenario: &str) -> Fixture {
    let settings = match scenario {
        "no token stored" => Settings { agent_token: None, standalone: true, ..settings() },
        "standalone off" => settings(),
        _ => Settings { standalone: true, ..settings() },
    };
    let fixture = serve(settings, Limits::default(), Transport::Plain);
    fixture.agent.mark_started_at(1_764_000_000.5);
    fixture.agent.on_node_info(Box::new(|_| Box::pin(async { Ok(()) })));
    fixture
}

async fn send(fixture: &Fixture, row: &Value, ids: &[String]) -> Answer {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    let mut target = text("target");
    for (index, id) in ids.iter().enumerate() {
        target = target.replace(&format!("<id{index}>"), id);
    }
    let mut headers = vec![("Connection", "close")];
    headers.extend(row["headers"].as_object().unwrap().iter().map(|(k, v)| (k.as_str(), v.as_str().unwrap())));
    let body = match row.get("body_hex") {
        Some(hex) => {
            let hex = hex.as_str().unwrap();
            (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
        }
        None => text("body").into_bytes(),
    };
    let mut connection = fixture.connect().await;
    connection.send(&text("method"), &target, &headers, &body).await;
    connection.receive(&text("method")).await
}

fn same(answer: &Answer, ours: &str, row: &Value) -> Result<(), String> {
    let theirs = &row["answer"];
    if theirs["status"] != answer.status {
        return Err(format!("status {} instead of {}: {ours}", answer.status, theirs["status"]));
    }
    for (name, value) in theirs["headers"].as_object().unwrap() {
        let value = value.as_str().unwrap();
        let own = answer.headers.get(&name.to_lowercase()).map_or("", String::as_str);
        let equal = match name.as_str() {
            // Python puts blanks into its JSON.
            "Content-Length" => continue,
            // The Python agent has them in no certain order.
            "Allow" => own.split(", ").collect::<BTreeSet<_>>() == value.split(", ").collect(),
            _ => own == value,
        };
        if !equal {
            return Err(format!("{name} is {own:?} instead of {value:?}"));
        }
    }
    let expected = expected_text(theirs["text"].as_str().unwrap());
    if ours == expected { Ok(()) } else { Err(format!("\n  ours   {ours}\n  theirs {expected}")) }
}

/// The recorded body as we write it: JSON without blanks, and our own sentences.
fn expected_text(text: &str) -> String {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return text.to_owned() };
    let mut text = value.to_string();
    for (theirs, ours) in SENTENCES {
        text = text.replace(theirs, ours);
    }
    text
}

fn differs(answer: &Answer, ours: &str, row: &Value, status: u16, part: &str, reason: &str) -> Result<(), String> {
    if same(answer, ours, row).is_ok() {
        return Err(format!("the same as upstream, but it should differ: {reason}"));
    }
    if answer.status == status && ours.contains(part) {
        return Ok(());
    }
    Err(format!("{} {ours} instead of {status} with {part:?} ({reason})", answer.status))
}

/// Replaces identifiers by `<id0>` and so on, as the recorder does.
fn hide(text: &str, ids: &mut Vec<String>) -> String {
    for part in text.split(r#""id":""#).skip(1) {
        let id = part.split('"').next().unwrap().to_owned();
        if id.len() == 36 && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids.iter().enumerate().fold(text.to_owned(), |text, (index, id)| text.replace(id, &format!("<id{index}>")))
}

#[test]
fn the_token_is_that_of_the_recorder() {
    let script = include_str!("../../../../tests/upstream/api_answers.py");
    assert!(script.contains(&format!("TOKEN = \"{TOKEN}\"")));
}
