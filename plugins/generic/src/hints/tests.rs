use serde_json::json;

use super::*;

/// A disk of the recorded table, where serials and names are lists.
fn candidate(disk: &Value) -> Candidate {
    let all = |name: &str| serde_json::from_value::<Vec<Option<String>>>(disk[name].clone()).expect("a list");
    let mut device = disk.clone();
    device["serial"] = Value::Null;
    device["wwn"] = Value::Null;
    let device = serde_json::from_value(device).expect("a disk");
    Candidate { device, serials: all("serial"), wwns: all("wwn") }
}

fn recorded() -> Value {
    serde_json::from_str(include_str!("../../fixtures/hints/upstream.json")).expect("JSON")
}

/// Our verdict as the table writes it.
fn verdict(hints: &Value, disk: &Candidate) -> char {
    match Hints::parse(hints).and_then(|hints| hints.fit(disk)) {
        Ok(true) => '+',
        Ok(false) => '-',
        Err(_) => 'V',
    }
}

#[test]
fn verdicts_are_the_python_agents() {
    let recorded = recorded();
    let disks: Vec<Candidate> = recorded["disks"].as_array().expect("a list").iter().map(candidate).collect();
    let cases = recorded["cases"].as_array().expect("a list");
    assert!(cases.len() > 200);
    let mut wrong = Vec::new();
    for case in cases {
        for (theirs, disk) in case["verdicts"].as_str().expect("text").chars().zip(&disks) {
            let ours = verdict(&case["hints"], disk);
            // Where the Python agent breaks, there is no match here, with a reason or without.
            let same = if theirs == 'X' { ours != '+' } else { ours == theirs };
            if !same {
                wrong.push(format!("{} {}: {theirs} there, {ours} here", case["hints"], disk.device.name));
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
#[ignore = "needs ironic-python-agent 13.0.0 in IPA_UPSTREAM_PYTHON"]
fn the_record_is_what_the_python_agent_says() {
    let python = std::env::var_os("IPA_UPSTREAM_PYTHON").expect("IPA_UPSTREAM_PYTHON names the interpreter");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/upstream/root_device.py");
    let output = std::process::Command::new(python).arg(script).output().expect("it can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(said, recorded(), "record it again: python tests/upstream/root_device.py");
}

#[test]
fn bad_hints_are_explained() {
    for (hints, says) in [
        (json!({"colour": "red"}), "The hints \"colour\" are invalid. Valid hints are: \"size, model"),
        (json!({"size": "big"}), "Root device hint \"size\" is not an integer value. Current value: \"big\""),
        (json!({"size": 0}), "Root device hint \"size\" should be a positive integer. Current value: 0"),
        (json!({"rotational": "maybe"}), "Root device hint \"rotational\" is not a Boolean value"),
        (json!({"model": 5}), "Root device hint \"model\" is not a string value. Current value: 5"),
        (json!({"model": " "}), "Root device hint \"model\": it is empty"),
        (json!({"model": "s=="}), "operator without a value"),
        (json!("sda"), "no object of hints"),
    ] {
        let error = Hints::parse(&hints).expect_err("bad");
        assert!(error.contains(says), "{error}");
    }
    let disk = candidate(&recorded()["disks"][0]);
    let error = Hints::parse(&json!({"model": "== 5"})).expect("read").fit(&disk).expect_err("no number");
    assert_eq!(
        error,
        "Root device hint \"model\": \"qemu%20harddisk\" is no number, and the operator compares numbers"
    );
}

#[test]
fn every_hint_has_a_verdict() {
    let disk = candidate(&recorded()["disks"][0]);
    let hints =
        json!({"size": "> 200", "serial": "QM00001", "rotational": true, "wwn_vendor_extension": "x", "hctl": "> 1"});
    let verdicts = Hints::parse(&hints).expect("good").verdicts(&disk);
    let told: Vec<_> = verdicts.iter().map(|told| (told.hint, told.has.join(" or "), told.matches)).collect();
    let told: Vec<_> = told.iter().map(|(hint, has, matches)| (*hint, has.as_str(), *matches)).collect();
    assert_eq!(
        told,
        [
            ("size", "100 GiB", Some(false)),
            ("serial", "QM00001 or QEMU_HARDDISK_QM00001", Some(true)),
            ("rotational", "true", Some(true)),
            ("wwn_vendor_extension", "", Some(false)),
            ("hctl", "0:0:0:0", None),
        ]
    );
    assert_eq!(verdicts[0].wanted, "> 200");
    assert!(verdicts[4].problem.as_deref().is_some_and(|why| why.contains("is no number")), "{:?}", verdicts[4]);
}
