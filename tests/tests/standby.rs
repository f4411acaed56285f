//! The end of a deployment, with real managers. What ends the machine's run itself is tested where it can end nothing,
//! in the host.

use ipa_tests::{Host, PluginDir};
use serde_json::{Value, json};

async fn sync(high: &Value, low: &Value) -> Value {
    let section = |support: u64, full_sync: &Value| json!({"support": support, "full_sync": full_sync});
    let plugins = PluginDir::new().with_puppet("high", &section(7, high)).with_puppet("low0", &section(2, low));
    let host = Host::with(plugins).start();
    host.client().run("standby.sync", json!({})).await
}

#[tokio::test]
async fn sync_asks_every_manager_that_can() {
    let (done, unable, broken) =
        (json!({"value": null}), json!({"incompatible": "x"}), json!({"fail": "disk on fire"}));
    for (high, low) in [(&done, &done), (&unable, &done)] {
        let answer = sync(high, low).await;
        assert_eq!(
            (&answer["command_status"], &answer["command_result"]),
            (&json!("SUCCEEDED"), &Value::Null),
            "{answer}"
        );
    }
    for (high, low) in [(&done, &broken), (&broken, &done)] {
        let answer = sync(high, low).await;
        assert_eq!(answer["command_status"], "FAILED", "{answer}");
        assert!(answer["command_error"]["details"].to_string().contains("disk on fire"), "{answer}");
    }
    let nobody = sync(&unable, &unable).await;
    assert_eq!(nobody["command_error"]["type"], "HardwareManagerMethodNotFound", "{nobody}");
}
