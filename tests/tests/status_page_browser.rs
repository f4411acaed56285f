//! The page for browsers, in one.

use ipa_tests::browser::{Browser, Screen, View};
use ipa_tests::client::step_params;
use ipa_tests::fake_ironic::{Api, NODE};
use ipa_tests::host::TOKEN;
use ipa_tests::{FakeIronic, Host, PluginDir, machine};
use serde_json::{Value, json};

/// In a command's parameters and in its error.
const SECRET: &str = "hunter2-of-the-node";
const PHONE: Screen = Screen { width: 360, height: 740, dark: false };
const DESK: Screen = Screen { width: 1280, height: 900, dark: false };

/// A machine that has gone through all that the page can show: managers good and bad, commands that succeeded, failed
/// with a long text without blanks, and one that runs.
async fn busy(ironic: &FakeIronic) -> Host {
    let long = format!("/dev/disk/by-path/{}: <b>busy</b> & \"locked\"", "pci-0000:5e:00.0-sas-exp0x500".repeat(9));
    let more = json!({
        "break": {"fail": long},
        "work": {"work": ["42", "erasing /dev/nvme0n1, 3 of 7 namespaces"]},
    });
    let plugins = machine::describe(PluginDir::with_acme(), &more)
        .with_puppet("nnvd", &json!({"support": "0"}))
        .with_config("[DEFAULT]\nenable_auto_tls = false\n");
    plugins.put("vendor_raid_controller_tool_for_storage_shelves_2024_x86_64.so", b"");
    let host = Host::with(plugins).with_ironic(&ironic.url()).start();
    ironic.wait_for(Api::Heartbeat, 1);
    let client = host.client();
    client.clean_step("acme_erase_cache").await;
    let secret = json!({"password": SECRET, "agent_token": SECRET});
    client.run("clean.execute_clean_step", step_params("break", secret)).await;
    let id = client.start("clean.execute_clean_step", step_params("work", json!({}))).await;
    while client.result(&id).await["progress"] == Value::Null {
        tokio::task::yield_now().await;
    }
    host
}

#[tokio::test]
async fn the_page_fits_any_screen_loads_nothing_and_tells_no_secret() {
    let ironic = FakeIronic::start();
    let host = busy(&ironic).await;
    let url = format!("http://{}/", host.address());
    let mut browser = Browser::start();
    for screen in [PHONE, DESK, Screen { dark: true, ..PHONE }, Screen { dark: true, ..DESK }] {
        let view = browser.view(&url, screen);
        assert!(view.width <= f64::from(screen.width), "{screen:?} scrolls to {}", view.width);
        assert_eq!(view.requests, [url.as_str()], "{screen:?}");
        assert_eq!(view.scripts, Vec::<Value>::new());
        assert_eq!(view.complaints, Vec::<Value>::new());
        let ground = if screen.dark { "rgb(255, 255, 255)" } else { "rgb(0, 0, 0)" };
        assert_eq!(view.text_colour, ground, "{screen:?}");
        for secret in [TOKEN, SECRET] {
            assert!(!view.html.contains(secret), "{}", view.html);
        }
        assert_tells(&view, &[NODE, "acme (", "execute_clean_step: work", "failed", "42 %", "3 of 7 namespaces"]);
        assert_tells(&view, &["<progress max=\"100\" value=\"42\">", "&lt;b&gt;busy&lt;/b&gt; &amp;"]);
        assert_tells(&view, &["storage_shelves_2024_x86_64.so is not used", "Last heartbeat"]);
        if let Some(directory) = std::env::var_os("IPA_TESTS_PICTURES") {
            let name = format!("{}-{}.base64", screen.width, if screen.dark { "dark" } else { "light" });
            std::fs::write(std::path::Path::new(&directory).join(name), &view.picture).expect("a directory");
        }
    }
    drop(browser);
}

fn assert_tells(view: &View, parts: &[&str]) {
    for part in parts {
        assert!(view.html.contains(part), "{part} is not on the page:\n{}", view.html);
    }
}
