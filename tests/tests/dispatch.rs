//! How calls are routed to managers: rank, ties, fall-through, nesting, concurrency, versions and step lists.
//!
//! The managers are puppets: copies of one well-behaved plugin that do what their configuration says.

use ipa_tests::client::step_params;
use ipa_tests::{Host, PluginDir};
use serde_json::{Value, json};

/// Puppets by tag and section, in files that sort in the order given.
fn puppets(sections: &[(&str, Value)]) -> PluginDir {
    sections.iter().enumerate().fold(PluginDir::new(), |plugins, (place, (tag, section))| {
        plugins.with_puppet_as(tag, &format!("{place:03}_{tag}.so"), section)
    })
}

fn start(sections: &[(&str, Value)]) -> Host {
    Host::with(puppets(sections)).start()
}

#[tokio::test]
async fn the_highest_support_answers_whatever_the_file_names() {
    let low = ("low0", json!({"support": 2, "probe": {"value": "low"}}));
    let high = ("high", json!({"support": 7, "probe": {"value": "high"}}));
    for order in [[&low, &high], [&high, &low]] {
        let host = start(&order.map(Clone::clone));
        assert_eq!(host.client().clean_value("probe").await, "high");
    }
}

/// Upstream leaves the order of equals to chance; here the class name decides.
#[tokio::test]
async fn the_class_name_decides_between_equals_whatever_the_file_names() {
    let first = ("aaaa", json!({"probe": {"value": "aaaa"}}));
    let second = ("bbbb", json!({"probe": {"value": "bbbb"}}));
    for order in [[&first, &second], [&second, &first]] {
        let host = start(&order.map(Clone::clone));
        assert_eq!(host.client().clean_value("probe").await, "aaaa");
    }
}

#[tokio::test]
async fn managers_without_support_are_not_asked() {
    let host = start(&[
        ("none", json!({"support": 0, "probe": {"value": "none"}})),
        ("nega", json!({"support": -5, "probe": {"value": "negative"}})),
        ("some", json!({"support": 1, "probe": {"value": "some"}})),
    ]);
    assert_eq!(host.client().clean_value("probe").await, "some");
    let versions = host.client().clean_steps().await["hardware_manager_version"].clone();
    assert_eq!(versions, json!({"puppet_some": "1.some"}));
}

/// Null, false, 0 and the empty list are answers; only "absent" and "incompatible" go on to the next manager.
#[tokio::test]
async fn only_absent_and_incompatible_fall_through() {
    let host = start(&[
        (
            "high",
            json!({
                "support": 9,
                "null": {"value": null}, "false": {"value": false}, "zero": {"value": 0}, "empty": {"value": []},
                "absent": {"absent": 0}, "misfit": {"incompatible": "no such controller"},
            }),
        ),
        (
            "low0",
            json!({
                "null": {"value": "low"}, "false": {"value": "low"}, "zero": {"value": "low"}, "empty": {"value": "low"},
                "absent": {"value": "low"}, "misfit": {"value": "low"}, "only_low": {"value": "low"},
            }),
        ),
    ]);
    let client = host.client();
    assert_eq!(client.clean_value("null").await, Value::Null);
    assert_eq!(client.clean_value("false").await, false);
    assert_eq!(client.clean_value("zero").await, 0);
    assert_eq!(client.clean_value("empty").await, json!([]));
    for step in ["absent", "misfit", "only_low"] {
        assert_eq!(client.clean_value(step).await, "low", "{step}");
    }
}

/// Any other error is the answer, though the next manager could do it.
#[tokio::test]
async fn other_errors_stop_the_search() {
    let host = start(&[
        (
            "high",
            json!({
                "support": 9,
                "foreign": {"fail": "controller 3 is on fire"},
                "defined": {"cleaning_error": "controller 3 is wet"},
                "unset": {"configuration_error": "no url in [plugin:puppet_high]"},
            }),
        ),
        ("low0", json!({"foreign": {"value": 1}, "defined": {"value": 1}, "unset": {"value": 1}})),
    ]);
    let client = host.client();
    // A foreign error is wrapped into the class of the step's kind; class and text stay (EXT-08).
    let foreign = client.clean_error("foreign").await;
    assert_eq!((&foreign["type"], &foreign["code"]), (&json!("CleaningError"), &json!(500)), "{foreign}");
    assert_eq!(foreign["message"], "Clean step failed");
    for part in ["foreign", "RuntimeError", "controller 3 is on fire"] {
        assert!(foreign["details"].as_str().unwrap_or_default().contains(part), "{part}: {foreign}");
    }
    let defined = client.clean_error("defined").await;
    assert_eq!((&defined["type"], &defined["details"]), (&json!("CleaningError"), &json!("controller 3 is wet")));
    let unset = client.clean_error("unset").await;
    assert_eq!(unset["type"], "HardwareManagerConfigurationError", "{unset}");
    host.log_line(&["configuration error in manager puppet_high", "no url in"]);
}

/// If nobody answers, the error names the method (DSP-15).
#[tokio::test]
async fn a_method_that_nobody_has_is_named() {
    let host = start(&[("some", json!({"misfit": {"incompatible": "no such controller"}}))]);
    for step in ["nobody_has_it", "misfit"] {
        let error = host.client().clean_error(step).await;
        assert_eq!(error["type"], "HardwareManagerMethodNotFound", "{error}");
        assert_eq!(error["code"], 500);
        assert_eq!(error["details"], format!("Could not find method: {step}"));
    }
}

#[tokio::test]
async fn without_any_manager_the_error_says_so() {
    let host = Host::with(PluginDir::new()).start();
    let error = host.client().clean_error("probe").await;
    assert_eq!((&error["type"], &error["code"]), (&json!("HardwareManagerNotFound"), &json!(500)), "{error}");
    assert_eq!(error["message"], "No valid HardwareManager found");
    let directory = host.plugin_dir().path().display().to_string();
    for part in [directory.as_str(), "plugins list"] {
        assert!(error["details"].as_str().unwrap_or_default().contains(part), "{part}: {error}");
    }
}

/// All answers by class name; null counts, absent and incompatible do not.
#[tokio::test]
async fn dispatch_to_all_gives_the_answers_by_class_name() {
    let host = start(&[
        ("aaaa", json!({"support": 5, "probe": {"value": 1}, "ask_all": {"dispatch_all": "probe"}})),
        ("bbbb", json!({"support": 4, "probe": {"incompatible": "no"}})),
        ("cccc", json!({"support": 3})),
        ("dddd", json!({"support": 2, "probe": {"value": null}})),
        ("eeee", json!({"support": 0, "probe": {"value": 5}})),
    ]);
    let answers = host.client().clean_value("ask_all").await;
    assert_eq!(answers, json!([["Puppetaaaa", 1], ["Puppetdddd", null]]));
}

/// What `super()` is in Python: each asks those ranked below it.
#[tokio::test]
async fn call_next_walks_down_the_ranks() {
    let host = start(&[
        ("aaaa", json!({"support": 1, "probe": {"value": "bottom"}})),
        ("bbbb", json!({"support": 3, "probe": {"call_next": "probe"}})),
        ("cccc", json!({"support": 2, "probe": {"incompatible": "not mine"}})),
        ("dddd", json!({"support": 4, "probe": {"call_next": "probe"}})),
        ("eeee", json!({"support": 0, "alone": {"value": 0}})),
        ("ffff", json!({"support": 1, "last": {"call_next": "last"}})),
    ]);
    assert_eq!(host.client().clean_value("probe").await, json!({"Puppetdddd": {"Puppetbbbb": "bottom"}}));
    let error = host.client().clean_error("last").await;
    assert!(error["details"].as_str().unwrap_or_default().contains("Could not find method: last"), "{error}");
}

/// A manager may ask for its own methods while it is called, and others for its while it waits.
#[tokio::test]
async fn calls_nest_through_the_same_manager() {
    let host = start(&[
        (
            "aaaa",
            json!({"first": {"dispatch": "second"}, "third": {"dispatch": "fourth"}, "fourth": {"value": "deep"}}),
        ),
        ("bbbb", json!({"second": {"dispatch": "third"}})),
    ]);
    assert_eq!(host.client().clean_value("first").await, "deep");
}

/// Two managers that ask each other without end are stopped by depth, long before a deadline or the memory.
#[tokio::test]
async fn endless_mutual_dispatch_is_stopped() {
    let host = start(&[
        ("aaaa", json!({"ping": {"dispatch": "pong"}, "calm": {"value": "well"}})),
        ("bbbb", json!({"pong": {"dispatch": "ping"}})),
    ]);
    let error = host.client().clean_error("ping").await;
    let details = error["details"].as_str().unwrap_or_default();
    assert!(details.contains("ping") || details.contains("pong"), "{error}");
    assert_eq!(host.client().clean_value("calm").await, "well");
}

/// Calls into one worker run at the same time: each waits until all are inside.
#[tokio::test]
async fn calls_to_one_manager_run_side_by_side() {
    let host = start(&[
        ("aaaa", json!({"erase_all": {"parallel": ["erase_one", 8]}})),
        ("bbbb", json!({"erase_one": {"meet": 8}})),
    ]);
    assert_eq!(host.client().clean_value("erase_all").await, json!(vec!["met"; 8]));
}

/// Node, ports and the step's arguments reach the manager beside each other (EXT-07).
#[tokio::test]
async fn arguments_reach_the_manager() {
    let host = start(&[("aaaa", json!({"probe": {"args": 0}}))]);
    let args = host.client().clean_value_with("probe", json!({"depth": 3, "how": {"fast": true}})).await;
    assert_eq!((&args["depth"], &args["how"]), (&json!(3), &json!({"fast": true})), "{args}");
    assert_eq!(args["node"]["uuid"], "5c6b7a52-6b0a-4a57-9d30-1c1f0a6f7a11");
    assert_eq!(args["ports"], json!([]));
}

/// Its section of the configuration reaches a manager, and no other manager's.
#[tokio::test]
async fn the_configuration_section_reaches_its_manager() {
    let host = start(&[("aaaa", json!({"show": {"config": 0}, "colour": "red"})), ("bbbb", json!({"colour": "blue"}))]);
    let section = host.client().clean_value("show").await;
    assert_eq!(section["colour"], "red", "{section}");
    assert_eq!(section.as_object().map(serde_json::Map::len), Some(2), "{section}");
}

#[tokio::test]
async fn every_manager_is_evaluated_and_initialized_once() {
    let host = start(&[("aaaa", json!({"count": {"initialized": 0}, "ranked": {"evaluated": 0}}))]);
    for _ in 0..2 {
        assert_eq!(host.client().clean_value("count").await, 1);
        assert_eq!(host.client().clean_value("ranked").await, 1);
    }
}

/// Highest first, when all are ranked: an initialize may ask the others, even those that have not been initialized.
#[tokio::test]
async fn managers_are_initialized_in_rank_order_and_may_dispatch_meanwhile() {
    let host = start(&[
        (
            "low0",
            json!({"support": 1, "low_count": {"initialized": 0}, "initialize": {"dispatch": "high_count"},
            "low_saw": {"on_initialize": 0}}),
        ),
        (
            "high",
            json!({"support": 9, "high_count": {"initialized": 0}, "initialize": {"dispatch": "low_count"},
            "high_saw": {"on_initialize": 0}}),
        ),
    ]);
    assert_eq!(host.client().clean_value("high_saw").await, 0);
    assert_eq!(host.client().clean_value("low_saw").await, 1);
}

/// Upstream ends the start there and leaves the managers below it without their initialize (DSP-09).
#[tokio::test]
async fn a_failing_initialize_harms_nobody_else() {
    let host = start(&[
        ("high", json!({"support": 9, "initialize": {"fail": "no such controller"}, "probe": {"value": "high"}})),
        ("low0", json!({"support": 1, "count": {"initialized": 0}})),
    ]);
    host.log_line(&["puppet_high could not be initialized", "no such controller"]);
    assert_eq!(host.client().clean_value("probe").await, "high");
    assert_eq!(host.client().clean_value("count").await, 1);
}

/// Each manager has the methods of the base class (DSP-17). Where those need what it has not, the next one is asked.
#[tokio::test]
async fn inherited_methods_fall_through_to_the_next_manager() {
    let disk = json!([{"name": "/dev/nosuch0", "size": 1}]);
    let host = start(&[
        ("high", json!({"support": 9})),
        (
            "low0",
            json!({
                "support": 1,
                "get_os_install_device": {"value": "/dev/nosuch0"},
                "list_block_devices_check_skip_list": {"value": disk},
                "safety_check_block_device": {"value": null},
                "erase_block_device": {"value": "erased"},
                "asked": {"asked": "get_os_install_device"},
            }),
        ),
    ]);
    let client = host.client();
    assert_eq!(client.clean_value("erase_devices").await, json!({"/dev/nosuch0": "erased"}));
    let before = client.clean_value("asked").await.as_u64().expect("a number");
    assert_eq!(client.clean_value("wait_for_disks").await, Value::Null);
    assert_eq!(client.clean_value("asked").await, before + 1);
    let params = json!({"node": {}, "ports": []});
    let steps = client.run("deploy.get_deploy_steps", params).await["command_result"].clone();
    assert_eq!(steps["deploy_steps"], json!({}), "the inherited lists are empty: {steps}");
}

/// The inventory of a manager that has none of its own is that of the generic one below it (DSP-18).
#[tokio::test]
async fn an_inherited_inventory_falls_through_to_the_generic_manager() {
    let plugins = PluginDir::new().with_puppet("high", &json!({"support": 9}));
    // The generic manager would prepare the machine when it is initialized.
    let host = Host::with(plugins.with(&ipa_tests::artifacts::plugin("ipa-generic"))).flag("--read-only").start();
    let result = host.client().run("poll.get_hardware_info", json!({})).await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    assert!(result["command_result"]["cpu"]["count"].as_u64().is_some_and(|count| count > 0), "{result}");

    let alone = Host::with(PluginDir::new().with_puppet("high", &json!({"support": 9}))).start();
    let result = alone.client().run("poll.get_hardware_info", json!({})).await;
    assert_eq!(result["command_error"]["details"], "Could not find method: list_hardware_info", "{result}");
}

/// A node that was not known before is waited for, inside the command that brings it (DSP-33).
#[tokio::test]
async fn a_new_node_has_its_disks_waited_for() {
    let host = start(&[("aaaa", json!({"wait_for_disks": {"value": null}, "waits": {"asked": "wait_for_disks"}}))]);
    let client = host.client();
    let list = |uuid: &str| client.run("clean.get_clean_steps", json!({"node": {"uuid": uuid}, "ports": []}));
    list("one").await;
    list("one").await;
    list("two").await;
    // The node of this step is a third one.
    assert_eq!(client.clean_value("waits").await, 3);
    assert_eq!(client.clean_value("waits").await, 3);
}

/// Only a device that is not there yet is waited for, and not for ever (DSK-14).
#[tokio::test]
async fn the_wait_for_the_root_disk_is_bounded() {
    let gone = json!({"device_not_found": "no disk of 4 GiB"});
    for (attempts, answer, asked, status) in [
        (3, &gone, 3, "SUCCEEDED"),
        (0, &gone, 0, "SUCCEEDED"),
        (3, &json!({"value": "/dev/nosuch0"}), 1, "SUCCEEDED"),
        (3, &json!({"fail": "controller 3 is on fire"}), 1, "FAILED"),
    ] {
        let section = json!({"get_os_install_device": answer, "asked": {"asked": "get_os_install_device"}});
        let wait = format!("[DEFAULT]\ndisk_wait_attempts = {attempts}\ndisk_wait_delay = 0\n");
        let host = Host::with(puppets(&[("aaaa", section)]).with_config(&wait)).start();
        // The node is no new one, so that only the step waits.
        let mut params = step_params("wait_for_disks", json!({}));
        params["node"] = json!({});
        let result = host.client().run("clean.execute_clean_step", params).await;
        assert_eq!(result["command_status"], status, "{attempts} {answer}: {result}");
        let mut params = step_params("asked", json!({}));
        params["node"] = json!({});
        let count = host.client().run("clean.execute_clean_step", params).await;
        assert_eq!(count["command_result"]["clean_result"], asked, "{attempts} {answer}: {count}");
        if asked == 3 {
            host.log_line(&["the root device was not detected"]);
        }
    }
}

/// As many disks at once as the node says: each erasure returns only when both have begun.
#[tokio::test]
async fn disks_are_erased_side_by_side() {
    let disks = json!([{"name": "/dev/nosuch0", "size": 1}, {"name": "/dev/nosuch1", "size": 1}]);
    let host = start(&[(
        "aaaa",
        json!({
            "list_block_devices_check_skip_list": {"value": disks},
            "safety_check_block_device": {"value": null},
            "erase_block_device": {"meet": 2},
        }),
    )]);
    let mut params = step_params("erase_devices", json!({}));
    params["node"]["driver_internal_info"] = json!({"disk_erasure_concurrency": 2});
    let result = host.client().run("clean.execute_clean_step", params).await;
    assert_eq!(
        result["command_result"]["clean_result"],
        json!({"/dev/nosuch0": "met", "/dev/nosuch1": "met"}),
        "{result}"
    );
}

/// Who offers a step is not who is asked first to run it (DSP-32).
#[tokio::test]
async fn a_step_runs_on_the_first_that_has_it_not_on_the_one_that_offers_it() {
    let host = start(&[
        ("high", json!({"support": 9, "shared": {"value": "high"}})),
        ("low0", json!({"support": 1, "shared": {"value": "low"}, "clean_steps": [step("shared", 10)]})),
    ]);
    let steps = host.client().clean_steps().await["clean_steps"].clone();
    assert_eq!(steps["Puppetlow0"][0]["step"], "shared", "{steps}");
    assert_eq!(host.client().clean_value("shared").await, "high");
}

/// The version map that Ironic got must be the one that it gives back, exactly (DSP-26, DSP-27).
#[tokio::test]
async fn steps_run_only_with_the_versions_that_ironic_knows() {
    let host = start(&[("aaaa", json!({"probe": {"value": 1}})), ("bbbb", json!({}))]);
    let client = host.client();
    let versions = client.clean_steps().await["hardware_manager_version"].clone();
    assert_eq!(versions, json!({"puppet_aaaa": "1.aaaa", "puppet_bbbb": "1.bbbb"}));

    let with = |versions: Value| {
        let mut params = step_params("probe", json!({}));
        params["clean_version"] = versions;
        params
    };
    let result = client.run("clean.execute_clean_step", with(versions)).await;
    assert_eq!(result["command_status"], "SUCCEEDED", "{result}");
    for other in [
        json!({"puppet_aaaa": "1.aaaa"}),
        json!({"puppet_aaaa": "1.aaaa", "puppet_bbbb": "2"}),
        json!({"puppet_aaaa": "1.aaaa", "puppet_bbbb": "1.bbbb", "puppet_cccc": "1.cccc"}),
    ] {
        let result = client.run("clean.execute_clean_step", with(other)).await;
        assert_eq!(result["command_status"], "CLEAN_VERSION_MISMATCH", "{result}");
        assert_eq!(result["command_error"]["type"], "VersionMismatch", "{result}");
        assert_eq!(result["command_error"]["code"], 409, "{result}");
        assert_eq!(result["command_result"], Value::Null);
    }
}

fn step(name: &str, priority: i64) -> Value {
    json!({"step": name, "priority": priority, "interface": "deploy"})
}

/// Of steps with the same name one is offered: highest support, then priority, then class name (DSP-28, DSP-29).
#[tokio::test]
async fn a_step_that_several_offer_is_listed_once() {
    let host = start(&[
        ("aaaa", json!({"support": 2, "clean_steps": [step("shared", 90), step("own", 1)]})),
        ("bbbb", json!({"support": 3, "clean_steps": [step("shared", 10), step("equal", 20)]})),
        ("cccc", json!({"support": 3, "clean_steps": [step("equal", 30)]})),
        ("dddd", json!({"support": 1, "clean_steps": [step("shared", 99)]})),
    ]);
    let steps = host.client().clean_steps().await["clean_steps"].clone();
    let names = |class: &str| -> Vec<(&str, i64)> {
        let list = steps[class].as_array().into_iter().flatten();
        list.map(|step| (step["step"].as_str().unwrap_or(""), step["priority"].as_i64().unwrap_or(-1))).collect()
    };
    assert_eq!(names("Puppetaaaa"), [("own", 1)]);
    assert_eq!(names("Puppetbbbb"), [("shared", 10)]);
    assert_eq!(names("Puppetcccc"), [("equal", 30)]);
    assert_eq!(steps.as_object().map(serde_json::Map::len), Some(3), "a manager without steps is left out: {steps}");
}

/// A manager may answer itself where it would dispatch, once those ranked above it turned out to lack the method for good.
#[tokio::test]
async fn a_manager_learns_that_it_is_asked_first() {
    let low = json!({
        "support": 1, "get_usb_devices": {"value": []},
        "first": {"answers_first": "get_usb_devices"}, "ask": {"dispatch": "get_usb_devices"},
    });
    // Any manager may override this method without declaring it, so it has to be asked once.
    let host = Host::with(PluginDir::with_acme().with_puppet("low0", &low)).start();
    let client = host.client();
    assert_eq!(client.clean_value("first").await, false);
    assert_eq!(client.clean_value("ask").await, json!([]));
    assert_eq!(client.clean_value("first").await, true);

    // One that answers methods by other rules than its manifest may have it another time.
    let host = start(&[("high", json!({"support": 9})), ("low0", low)]);
    let client = host.client();
    assert_eq!(client.clean_value("ask").await, json!([]));
    assert_eq!(client.clean_value("first").await, false);
}

/// While a step runs, the result of its command tells how far it is; other commands wait for it.
#[tokio::test]
async fn progress_is_seen_while_a_step_runs() {
    let plugins = puppets(&[("aaaa", json!({"work": {"work": ["50", "half done"]}}))]);
    let host = Host::with(plugins).deadline("step", 2.0).deadline("grace", 5.0).start();
    let client = host.client();
    let id = client.start("clean.execute_clean_step", step_params("work", json!({}))).await;
    let running = loop {
        let result = client.result(&id).await;
        if result["command_status"] != "RUNNING" || !result["progress"].is_null() {
            break result;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(running["progress"], json!({"percent": 50, "message": "half done"}), "{running}");
    assert_eq!(running["command_result"], Value::Null);
    // At its deadline the plugin is told, and ends by itself within the time of grace.
    let ended = client.ended(&id).await;
    assert_eq!(ended["command_status"], "FAILED", "{ended}");
    let details = ended["command_error"]["details"].as_str().unwrap_or_default();
    assert!(details.contains("work"), "{ended}");
}
