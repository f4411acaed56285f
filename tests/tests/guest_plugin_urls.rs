//! A machine that fetches a vendor's plugin at boot, with the signer's key in its ramdisk.
//!
//! Needs QEMU and the ramdisk; `cargo xtask test` has them.

use std::fs;
use std::path::Path;

use ipa_tests::artifacts;
use ipa_tests::certificates::Authority;
use ipa_tests::program::ipa_host;
use ipa_tests::ramdisk::{self, Booted, TOKEN};
use ipa_tests::signer::Signer;
use ipa_tests::tls::server;
use ipa_tests::web::{Reply, Web};
use ipa_vm::{Archive, Boot, Firmware, HOST, Machine, Nic};

/// Puts a plugin and its signature up, and gives its URL as guests see it.
fn put_up(web: &Web, signer: &Signer, plugin: &Path) -> String {
    let name = plugin.file_name().expect("a plugin is a file").to_string_lossy();
    let comment = ipa_host(&["plugins".as_ref(), "check".as_ref(), "--comment".as_ref(), plugin.as_os_str()]);
    let bytes = fs::read(plugin).expect("it was built");
    web.put(&format!("/{name}.minisig"), [Reply::File(signer.sign(&bytes, comment.stdout.trim()))]);
    web.put(&format!("/{name}"), [Reply::File(bytes)]);
    web.url(&format!("/{name}")).replace("127.0.0.1", HOST)
}

/// One plugin is signed by the key in the ramdisk and serves; the other by a stranger, and the console says why it does
/// not.
#[tokio::test]
#[ignore = "needs QEMU and the ramdisk; cargo xtask test has them"]
async fn a_machine_fetches_the_plugin_that_its_key_has_signed_and_no_other() {
    let (signer, stranger, authority) = (Signer::new(), Signer::new(), Authority::named("a"));
    let web = Web::start(server(&authority.certify(&format!("IP:{HOST}"))));
    let good = put_up(&web, &signer, &artifacts::minimal());
    let bad = put_up(&web, &stranger, &artifacts::plugin("ipa-example-vendor-device"));
    let directory = tempfile::tempdir().unwrap();
    let trust = directory.path().join("trust");
    Archive::default()
        .text("etc/ironic-python-agent.d/trust.conf", "[DEFAULT]\ncafile = /etc/ipa/ca.pem\n")
        .copy("etc/ipa/ca.pem", &authority.file())
        .and_then(|archive| archive.copy("etc/ipa/plugin-keys/site.pub", &signer.public()))
        .and_then(|archive| archive.write(&trust))
        .unwrap();
    let kernel = ramdisk::kernel(&format!("ipa-agent-token={TOKEN} ipa-plugin-urls={good},{bad}")).segment(&trust);
    let machine = Machine::new("fetches", Firmware::Bios, 512).unwrap().nic(Nic::new("52:54:00:5a:04:01"));
    let booted = Booted::start(&machine, &Boot::Kernel(kernel));
    booted.answers().await;

    booted.line(&[&bad, "is not used", "not trusted here"]);
    booted.line(&["plugin fetched, its signature is valid", &good]);
    booted.client.clean_value("acme_erase_cache").await;
}
