//! Plugins that misbehave: each costs the call that it spoils, with an error that says why, and nothing else.
//!
//! Every case starts a host with one misbehaving plugin and the well-behaved one, provokes the fault, and then looks
//! whether the host answers, the well-behaved plugin works, and no process is left when the host goes.

use ipa_tests::host::Builder;
use ipa_tests::{Host, PluginDir, artifacts, processes};
use serde_json::{Value, json};

/// A host with one misbehaving plugin beside the well-behaved one, and short deadlines.
fn host_with(fault: &str) -> Builder {
    short(Host::with(PluginDir::with_acme().with_misbehaving(fault)))
}

fn short(host: Builder) -> Builder {
    host.deadline("step", 1.0).deadline("call", 1.0).deadline("grace", 0.3)
}

/// What a step's error must tell: the plugin or its class, the method, and one of the given causes.
fn assert_explains(error: &Value, fault: &str, causes: &[&str], log: &str) {
    let text = error["details"].as_str().unwrap_or_else(|| panic!("the details are text: {error}"));
    let lower = text.to_lowercase();
    let class = fault.replace('_', "");
    assert!(lower.contains(fault) || lower.contains(&class), "{fault}: the plugin is not named: {text}\n{log}");
    assert!(lower.contains("misbehave"), "{fault}: the method is not named: {text}\n{log}");
    assert!(causes.iter().any(|cause| lower.contains(cause)), "{fault}: none of {causes:?} in: {text}\n{log}");
    assert!(!text.contains('\n'), "{fault}: an error is one line: {text}");
    assert!(error["message"].is_string() && error["code"].is_u64() && error["type"].is_string(), "{error}");
}

/// Runs the clean step `misbehave`, which must fail for one of the causes, and checks that all else goes on.
async fn step_fails(host: Host, fault: &str, causes: &[&str]) -> Host {
    let error = host.client().clean_error("misbehave").await;
    assert_explains(&error, fault, causes, &host.log());
    host.assert_well().await;
    host
}

/// One test for each plugin whose step fails, with the causes of which the error must name one.
macro_rules! steps_that_fail {
    ($( $(#[$doc:meta])* $fault:ident: $causes:expr; )*) => { $(
        $(#[$doc])*
        #[tokio::test]
        async fn $fault() {
            step_fails(host_with(stringify!($fault)).start(), stringify!($fault), &$causes).await;
        }
    )* };
}

steps_that_fail! {
    abort: ["sigabrt", "signal 6"];
    segfault: ["sigsegv", "signal 11"];
    stack_overflow: ["sigsegv", "sigabrt", "signal 11", "signal 6"];
    exit_zero: ["exit code 0", "status 0", "exited with 0", "code 0"];
    exit_silent: ["exit code 7", "status 7", "exited with 7", "code 7"];
    exec: ["exit", "closed", "ended"];
    panic_step: ["panicked: controller 4 answered 0x11 at tests/misbehaving/examples/panic_step.rs:"];
    hang_step: ["deadline", "within", "took longer"];
    busy_loop: ["deadline", "within", "took longer"];
    hang_lock: ["deadline", "within", "took longer"];
    ignore_signals: ["deadline", "within", "took longer"];
    /// Its child keeps the worker's socket open, so that only the end of the process tells.
    fork_die: ["exit code 9", "status 9", "exited with 9", "code 9"];
    close_fds: ["closed", "connection", "exit", "ended", "killed", "deadline"];
    reenter: ["deep", "recursion", "nested", "wait for each other"];
    not_json: ["json"];
    not_utf8: ["utf-8", "json"];
    empty_reply: ["json"];
    deep_reply: ["deep", "recursion", "nested"];
    unknown_code: ["4000000000"];
}

/// The limit of the worker's memory stops it, long before the machine's.
#[tokio::test]
async fn memory_eater() {
    let host = host_with("memory_eater").flag("--plugin-memory").flag("256").deadline("step", 20.0).start();
    step_fails(host, "memory_eater", &["sigabrt", "signal 6", "memory"]).await;
}

/// The reply is refused before the host has taken it in.
#[tokio::test]
async fn giant_reply() {
    let host = host_with("giant_reply").deadline("step", 20.0).start();
    let host = step_fails(host, "giant_reply", &["large", "bytes", "limit", "memory"]).await;
    let peak = processes::peak_resident_kib(host.id()).expect("the host runs");
    assert!(peak < 150 * 1024, "the host took {peak} KiB for a reply that it refuses");
}

#[tokio::test]
async fn panic_abort() {
    let host = short(Host::with(PluginDir::with_acme().with(&artifacts::panic_abort()))).start();
    step_fails(host, "panic_abort", &["no unwinding here", "sigabrt", "signal 6"]).await;
}

/// The panic stays in its thread, and the log has its text.
#[tokio::test]
async fn panic_thread() {
    let host = host_with("panic_thread").start();
    assert_eq!(host.client().clean_value("misbehave").await, json!({"poller_died": true}));
    host.log_line(&["panic_thread", "the poller lost its device"]);
    host.assert_well().await;
}

/// A child that outlives the call is no fault of the call; that it does not outlive the host is checked at its end.
#[tokio::test]
async fn children_do_not_outlive_the_host() {
    for fault in ["fork_child", "setsid_child"] {
        let host = host_with(fault).start();
        assert!(host.client().clean_value("misbehave").await["child"].is_number());
        host.assert_well().await;
        assert_eq!(host.terminate(), 0);
    }
}

/// Whatever limit it meets, only its own process meets it.
#[tokio::test]
async fn fd_leak() {
    let host = host_with("fd_leak").deadline("step", 20.0).start();
    let result = host.client().clean_step("misbehave").await;
    if result["command_status"] == "FAILED" {
        assert_explains(&result["command_error"], "fd_leak", &["open files", "descriptor"], &host.log());
    }
    host.assert_well().await;
}

#[tokio::test]
async fn floods_of_output_are_swallowed() {
    for fault in ["flood_stdout", "flood_stderr"] {
        let host = host_with(fault).deadline("step", 30.0).start();
        assert_eq!(host.client().clean_value("misbehave").await, Value::Null, "{fault}");
        host.assert_well().await;
        let peak = processes::peak_resident_kib(host.id()).expect("the host runs");
        assert!(peak < 100 * 1024, "{fault}: the host took {peak} KiB for output that it drops");
        let longest = host.log().lines().map(str::len).max().unwrap_or_default();
        assert!(longest <= 64 * 1024, "{fault}: a log line of {longest} bytes");
    }
}

/// What a plugin writes cannot steer the terminal of who reads the log, nor forge a line of its own.
#[tokio::test]
async fn terminal_escapes_are_made_harmless() {
    let host = host_with("terminal_escapes").start();
    assert_eq!(host.client().clean_value("misbehave").await, Value::Null);
    host.log_line(&["terminal_escapes", "harmless", "end of escapes"]);
    host.log_line(&["terminal_escapes", "forged"]);
    let log = host.log();
    let control = log.chars().find(|char| char.is_control() && *char != '\n');
    assert_eq!(control, None, "{log:?}");
    assert!(!log.lines().any(|line| line.starts_with("forged")), "{log}");
}

/// Its configuration is fine, but it cannot be made: it is left out, and the log says why.
#[tokio::test]
async fn panic_new() {
    let host = host_with("panic_new").start();
    host.log_line(&["panic_new", "the table has no row 12", "panic_new.rs:"]);
    host.assert_well().await;
}

/// A manager that cannot tell its support is left out; upstream would fail every command (DSP-05).
#[tokio::test]
async fn a_failing_evaluation_leaves_the_manager_out() {
    for (fault, cause) in [
        ("panic_evaluate", "the register file is empty"),
        ("exit_evaluate", "3"),
        ("wrong_support", "support"),
        ("huge_support", "1e+300 is no integer"),
    ] {
        let host = host_with(fault).start();
        host.log_line(&[fault, "evaluate", cause]);
        host.assert_well().await;
        let error = host.client().clean_error("misbehave").await;
        assert!(error["details"].as_str().unwrap_or_default().contains("misbehave"), "{fault}: {error}");
    }
}

#[tokio::test]
async fn hang_evaluate() {
    let host = host_with("hang_evaluate").deadline("evaluate", 0.5).start();
    host.log_line(&["hang_evaluate", "evaluate"]);
    host.assert_well().await;
}

#[tokio::test]
async fn hang_initialize() {
    let host = host_with("hang_initialize").deadline("initialize", 0.5).start();
    host.log_line(&["hang_initialize", "initialize"]);
    host.assert_well().await;
}

/// The end of the host does not depend on how its plugins end.
#[tokio::test]
async fn faults_at_the_end_do_not_hold_up_the_host() {
    for (fault, said) in [("panic_drop", "the device is gone already"), ("hang_drop", "did not end within")] {
        let host = host_with(fault).start();
        assert_eq!(host.client().clean_value("misbehave").await, Value::Null);
        let (code, log) = host.terminate_with_log();
        assert_eq!(code, 0, "{fault}");
        let line = log.lines().find(|line| line.contains(fault) && line.contains(said));
        assert!(line.is_some(), "{fault}: no line with {said:?}:\n{log}");
    }
}

/// A call ends with its answer: what its threads ask later gets an answer too, and does no harm.
#[tokio::test]
async fn late_calls() {
    let host = host_with("late_calls").deadline("step", 10.0).start();
    assert_eq!(host.client().clean_value("misbehave").await, Value::Null);
    let outcome = host.client().clean_value("misbehave").await;
    let outcome = outcome["late"].as_str().expect("the late thread tells");
    assert!(outcome.starts_with("served") || outcome.starts_with("refused"), "{outcome}");
    host.assert_well().await;
}

/// A list of steps that Ironic could not use is an error that names the plugin. A list without those steps would let
/// cleaning succeed without them.
#[tokio::test]
async fn unusable_step_lists_are_errors() {
    for (fault, class) in [
        ("steps_no_priority", "steps_no_priority"),
        ("steps_null", "steps_null"),
        ("steps_wrong_types", "steps_wrong_types"),
    ] {
        let host = host_with(fault).start();
        let params = json!({"node": {}, "ports": []});
        let answer = host.client().post("clean.get_clean_steps", params, "&wait=true").await;
        let text = answer.body.to_string();
        assert!(text.contains(class) && text.contains("get_clean_steps"), "{fault}: {text}");
        assert_ne!(answer.body["command_status"], "SUCCEEDED", "{fault}: {text}");
        host.assert_well().await;
    }
}

/// Odd lists that Ironic can use pass, and the well-behaved plugin's step stays in the answer.
#[tokio::test]
async fn odd_step_lists_pass() {
    for fault in ["steps_duplicate", "steps_shadow", "steps_negative"] {
        let host = host_with(fault).start();
        let params = json!({"node": {}, "ports": []});
        let answer = host.client().post("clean.get_clean_steps", params, "&wait=true").await;
        let steps = &answer.body["command_result"]["clean_steps"];
        if fault == "steps_negative" && steps.is_null() {
            // Ironic refuses a negative priority, so to say so at once is as good.
            assert!(answer.body.to_string().contains("steps_negative"), "{}", answer.body);
        } else {
            assert_eq!(steps["Acme"][0]["step"], "acme_erase_cache", "{fault}: {}", answer.body);
            assert_eq!(steps[fault].as_array().map(Vec::len), Some(1), "{fault}: {}", answer.body);
        }
        host.assert_well().await;
    }
}

#[tokio::test]
async fn steps_huge() {
    let host = host_with("steps_huge").deadline("list", 20.0).start();
    let params = json!({"node": {}, "ports": []});
    let answer = host.client().post("clean.get_clean_steps", params, "&wait=true").await;
    if answer.body["command_status"] != "SUCCEEDED" {
        assert!(answer.body.to_string().contains("steps_huge"), "{}", answer.body);
    }
    host.assert_well().await;
}
