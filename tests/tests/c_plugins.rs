//! Plugins in C, over the entry of `plugin-api/include/ipa_plugin.h`, in the real host.

use ipa_tests::c_plugin::CPlugin;
use ipa_tests::program::ipa_host;
use ipa_tests::{Host, PluginDir, artifacts};
use serde_json::json;

fn odd(macros: &[&str]) -> Host {
    Host::with(PluginDir::with_acme().with(CPlugin::odd(macros).path())).start()
}

/// From the manifest over the step list to the value that Ironic keeps, with a question to the managers below.
#[tokio::test]
async fn the_example_serves_its_step() {
    let plugins = PluginDir::new().with(CPlugin::example().path()).with(&artifacts::plugin("ipa-generic"));
    let host = Host::with(plugins).flag("--read-only").start();
    let listed = host.client().clean_steps().await;
    assert_eq!(listed["hardware_manager_version"]["acme_c"], "1.0.0", "{listed}");
    assert_eq!(
        listed["clean_steps"]["AcmeC"],
        json!([{"step": "acme_c_blink", "priority": 30, "interface": "deploy", "reboot_requested": false,
                "abortable": true,
                "argsinfo": {"times": {"description": "How often the light blinks", "required": false}}}]),
        "the manifest's, since the plugin lists none"
    );
    drop(host);

    let plugins = PluginDir::new().with(CPlugin::example().path()).with(&artifacts::plugin("ipa-generic"));
    let host = Host::with(plugins).start();
    let value = host.client().clean_value("acme_c_blink").await;
    assert_eq!(value["blinked"], 4, "{value}");
    assert!(value["machine"].get("manufacturer").is_some(), "{value}");
    host.log_line(&["the light has blinked", "acme_c"]);
    assert_eq!(host.terminate(), 0);
}

#[tokio::test]
async fn check_reads_it_as_any_plugin() {
    let plugin = CPlugin::example();
    let done = ipa_host(&["plugins", "check", &plugin.path().display().to_string()]);
    let text = done.stdout;
    assert!(text.contains("acme_c") && text.contains("acme_c_blink"), "{text}");
    let without = CPlugin::odd(&["ENTRY=other"]);
    let done = ipa_host(&["plugins", "check", &without.path().display().to_string()]);
    assert!(done.stdout.contains("neither the symbol ipa_plugin_entry_v1 nor ipa_plugin_c1"), "{}", done.stdout);
}

/// What does not keep to the seam is refused by name, or ends in an error, and harms nobody else.
#[tokio::test]
async fn an_entry_that_does_not_fit_is_refused_with_the_reason() {
    for (macros, said) in [
        (&["ABI=2"][..], "is of version 2, this host knows version 1"),
        (&["SIZE=8"], "is of 8 bytes, less than the"),
        (&["WITHOUT_CALL=1"], "lacks one of create, evaluate, call, destroy and free_reply"),
        (&["CREATE_WITHOUT_REASON"], "create answered without a manager and without a reason"),
        (&["CREATE_FAILS"], "no key"),
        (&["EVALUATE_CRASHES"], "SIGSEGV"),
    ] {
        let host = odd(macros);
        let line = host.log_line(&["libodd_c.so", said]);
        assert!(line.contains("odd"), "{macros:?}: {line}");
        host.assert_well().await;
    }
}

#[tokio::test]
async fn odd_answers_are_taken_for_what_they_are() {
    assert_eq!(odd(&[]).client().clean_value("odd_step").await, json!("fine"));
    assert_eq!(odd(&["NO_BODY"]).client().clean_value("odd_step").await, json!(null));
    for (fault, said) in [
        ("NO_JSON", "gave an unusable answer"),
        ("ENDLESS_BODY", "the plugin answered with 18446744073709551615 bytes"),
        ("UNKNOWN_CODE", "of a later version"),
    ] {
        let host = odd(&[fault]);
        let error = host.client().clean_error("odd_step").await;
        assert!(error["details"].as_str().unwrap_or_default().contains(said), "{fault}: {error}");
        host.assert_well().await;
    }
}
