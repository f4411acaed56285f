//! Plugins of other versions of plugin-api: those of the same major version load, older and newer, in any order; those
//! of another are refused by name and version.

use ipa_tests::program::ipa_host;
use ipa_tests::{Host, PluginDir, api_copies};
use serde_json::json;

/// The order of loading must not decide, as it does with the check that abi_stable offers.
#[tokio::test]
async fn minor_versions_load_side_by_side_in_any_order() {
    let later = api_copies::later_minor();
    for (file, puppet) in [("1_later.so", "2_today.so"), ("2_later.so", "1_today.so")] {
        let plugins = PluginDir::new().with_as(&later, file).with_puppet_as(
            "aaaa",
            puppet,
            &json!({"probe": {"value": "today"}}),
        );
        let host = Host::with(plugins).start();
        host.assert_well().await;
        assert_eq!(host.client().clean_value("probe").await, "today");
        let versions = host.client().clean_steps().await["hardware_manager_version"].clone();
        assert_eq!(versions, json!({"acme": "1.0.0", "puppet_aaaa": "1.aaaa"}));
    }
}

#[tokio::test]
async fn another_major_version_is_refused_by_name_and_version() {
    let plugins = PluginDir::with_acme().with_as(&api_copies::next_major(), "next_major.so");
    let path = plugins.path().join("next_major.so");
    let host = Host::with(plugins).start();
    host.log_line(&["next_major.so", "2.0.0"]);
    host.assert_well().await;
    let done = ipa_host(&["plugins".as_ref(), "check".as_ref(), path.as_os_str()]);
    assert_eq!(done.code, Some(1), "{done:#?}");
    assert!(done.stdout.contains("2.0.0") || done.stderr.contains("2.0.0"), "{done:#?}");
}
