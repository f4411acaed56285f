//! Plugins that come from elsewhere than the plugin directory: from signed URLs, and from virtual media.

use std::fs;
use std::path::Path;

use ipa_imagebuild::signing::{self, Password};
use ipa_tests::certificates::Authority;
use ipa_tests::host::Builder;
use ipa_tests::program::{Finished, ipa_host};
use ipa_tests::signer::Signer;
use ipa_tests::tls::server;
use ipa_tests::web::{Reply, Web};
use ipa_tests::{Host, PluginDir, artifacts, machine};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

const FILE: &str = "libipa_example_minimal.so";
/// What a signature of it must say.
const COMMENT: &str = "ipa-plugin name=acme version=1.0.0 file=libipa_example_minimal.so";
const HERE: &str = "IP:127.0.0.1";

fn acme() -> Vec<u8> {
    fs::read(artifacts::minimal()).expect("it was built")
}

/// A machine without the plugin `acme`, with an `/etc` and a kernel line of its own.
fn plugins(kernel_line: &str, keys: &[&Signer]) -> PluginDir {
    let plugins = machine::describe(PluginDir::new(), &json!({}));
    let directory = plugins.home().join("etc/ipa/plugin-keys");
    fs::create_dir_all(&directory).expect("our own directory");
    for (number, key) in keys.iter().enumerate() {
        fs::copy(key.public(), directory.join(format!("{number}.pub"))).expect("our own files");
    }
    fs::write(plugins.home().join("cmdline"), kernel_line).expect("our own directory");
    plugins
}

fn agent(plugins: PluginDir, authority: &Authority) -> Builder {
    let home = plugins.home().to_owned();
    Host::with(plugins).with_own_files(&home).flag("--cafile").flag(&authority.file().display().to_string())
}

fn list(host: &Host) -> Finished {
    let socket = host.control_socket();
    ipa_host(&["plugins".as_ref(), "list".as_ref(), "--json".as_ref(), "--control-socket".as_ref(), socket.as_os_str()])
}

/// What was left out, by where it should have come from.
fn left_out<'a>(list: &'a Value, origin: &str) -> Vec<&'a Value> {
    let all = list["left_out"].as_array().expect("a list");
    all.iter().filter(|left| left["origin"] == origin).collect()
}

fn manager<'a>(list: &'a Value, name: &str) -> &'a Value {
    let all = list["managers"].as_array().expect("a list");
    all.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {list:#}"))
}

/// One kernel line with every way to be wrong, and one that is right: it works, the others are refused, each with its
/// own cause and cure, in the list and in the log.
#[tokio::test]
async fn only_what_is_signed_for_its_url_is_loaded_and_every_fault_is_named() {
    let (signer, stranger, authority) = (Signer::new(), Signer::new(), Authority::named("a"));
    let web = Web::start(server(&authority.certify(HERE)));
    let (acme, junk) = (acme(), b"no plugin".to_vec());
    let vendor = fs::read(artifacts::plugin("ipa-example-vendor-device")).expect("it was built");
    let vendor_comment = {
        let path = artifacts::plugin("ipa-example-vendor-device");
        ipa_host(&["plugins".as_ref(), "check".as_ref(), "--comment".as_ref(), path.as_os_str()]).stdout
    };
    let signed = signer.sign(&acme, COMMENT);
    let put = |place: &str, file: &[u8], signature: &[u8]| {
        web.put(&format!("/{place}/{FILE}"), [Reply::File(file.to_vec())]);
        web.put(&format!("/{place}/{FILE}.minisig"), [Reply::File(signature.to_vec())]);
    };
    put("good", &acme, &signed);
    put("changed", b"n0 plugin", &signer.sign(&junk, COMMENT));
    put("stranger", &junk, &stranger.sign(&junk, COMMENT));
    put("legacy", &junk, &signer.sign_legacy(&junk, COMMENT));
    put("plain", &junk, &signer.sign(&junk, "timestamp:17"));
    put("broken", &junk, &signed[..signed.len() / 2]);
    put("junk", &junk, &signer.sign(&junk, COMMENT));
    put("other", &vendor, &signer.sign(&vendor, vendor_comment.trim()));
    put("renamed", &acme, &signer.sign(&acme, &COMMENT.replace("acme", "evil")));
    put("old", &acme, &signed);
    put("huge", &[], &signed);
    web.put(&format!("/huge/{FILE}"), [Reply::Announced((64 << 20) + 1)]);
    web.put(&format!("/unsigned/{FILE}"), [Reply::File(acme.clone())]);
    web.put(&format!("/gone/{FILE}.minisig"), [Reply::File(signed.clone())]);
    web.put(&format!("/loop/{FILE}.minisig"), [Reply::Redirect(format!("/loop/{FILE}.minisig"))]);
    web.put(&format!("/plain-http/{FILE}.minisig"), [Reply::Redirect(format!("http://127.0.0.1:1/{FILE}.minisig"))]);
    // It moved, and with it the very same file.
    web.put(&format!("/moved/{FILE}"), [Reply::Redirect(format!("/good/{FILE}"))]);
    web.put(&format!("/moved/{FILE}.minisig"), [Reply::Redirect(format!("/good/{FILE}.minisig"))]);
    let faults = [
        ("changed", "", "does not fit: the file or the trusted comment was changed"),
        ("stranger", "", "which is not trusted here; known are: "),
        ("legacy", "", "legacy form"),
        ("plain", "", "is not that of a plugin"),
        ("broken", "", "no minisign signature"),
        ("junk", "", "it is no ELF file"),
        ("other", "", "but is served as libipa_example_minimal.so"),
        ("renamed", "", "it was signed as evil 1.0.0, but the file says that it is acme 1.0.0"),
        (
            "old",
            "#1.1.0",
            "it is version 1.0.0, validly signed, but the URL asks for 1.1.0: an old file may be replayed",
        ),
        ("huge", "", "larger than 67108864 bytes"),
        ("unsigned", "", "there is no signature at"),
        ("gone", "", "HTTP status 404"),
        ("loop", "", "more than 5 redirects"),
        ("plain-http", "", "where it must not go"),
        ("moved", "", "is taken by libipa_example_minimal.so from https://"),
    ];
    let url = |place: &str| web.url(&format!("/{place}/{FILE}"));
    let mut urls = vec![web.url_as("user:s3cret@", &format!("/good/{FILE}")) + "#>=1.0.0"];
    urls.extend(faults.iter().map(|(place, pin, _)| format!("{}{pin}", url(place))));
    let line = format!("quiet ipa-debug=1 ipa-plugin-urls={} ro", urls.join(","));
    let host = agent(plugins(&line, &[&signer]), &authority).start();

    host.assert_well().await;
    host.log_line(&["plugin fetched, its signature is valid", "acme", "1.0.0", "0.pub"]);
    let listed = list(&host).json();
    let row = manager(&listed, "acme");
    assert_eq!((&row["file"], &row["origin"]), (&json!(FILE), &json!(url("good"))), "{row}");
    for (place, _, says) in faults {
        let found = left_out(&listed, &url(place));
        assert_eq!(found.len(), 1, "{place}: {listed:#}");
        let (cause, cure) = (found[0]["cause"].as_str().expect("text"), found[0]["cure"].as_str().expect("text"));
        assert!(cause.contains(says) && !cure.is_empty(), "{place}: {cause}; {cure}");
        assert!(host.has_logged(&[&url(place), " is not used: ", cause, cure]), "{place}:\n{}", host.log());
    }
    let causes: std::collections::BTreeSet<_> = faults.iter().map(|(_, _, says)| says).collect();
    assert_eq!(causes.len(), faults.len(), "each fault is its own");
    // Only its own server is given the password, and nobody is told it.
    let asked = web.received();
    let with_password = asked.iter().filter(|(_, authorization)| authorization == "Basic dXNlcjpzM2NyZXQ=");
    assert_eq!(with_password.count(), 2, "{asked:#?}");
    assert!(!host.log().contains("s3cret") && !list(&host).stdout.contains("s3cret"));
    let table = ipa_host(&[
        "plugins".as_ref(),
        "list".as_ref(),
        "--control-socket".as_ref(),
        host.control_socket().as_os_str(),
    ]);
    assert!(table.stdout.contains(&format!("{FILE} from {}", url("good"))), "{}", table.stdout);
    assert_eq!(host.terminate(), 0);
}

/// Without a key in the ramdisk nobody is asked for anything, and the line says what to do.
#[tokio::test]
async fn without_a_key_nothing_is_fetched() {
    let (signer, authority) = (Signer::new(), Authority::named("a"));
    let web = Web::start(server(&authority.certify(HERE)));
    let file = format!("/{FILE}");
    web.put(&file, [Reply::File(acme())]);
    let line = format!("ipa-plugin-urls={},http://127.0.0.1:1/{FILE}", web.url(&file));
    let plugins = plugins(&line, &[&signer]);
    // Anybody could have put it there.
    let key = plugins.home().join("etc/ipa/plugin-keys/0.pub");
    fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("our own file");
    let host = agent(plugins, &authority).start();
    host.log_line(&["plugin key 0.pub is not used", "others may write to it", "chmod go-w"]);
    host.log_line(&[&web.url(&file), "there is no key", "/etc/ipa/plugin-keys/*.pub", "when the ramdisk is built"]);
    host.log_line(&["http://127.0.0.1:1/", "it is not https"]);
    assert!(web.received().is_empty(), "{:?}", web.received());
    assert_eq!(host.terminate(), 0);
}

/// The network takes its time, and a plugin that dies is started again from memory.
#[tokio::test]
async fn a_server_that_is_late_is_waited_for_and_a_dead_plugin_comes_back() {
    let (signer, authority) = (Signer::new(), Authority::named("a"));
    let web = Web::start(server(&authority.certify(HERE)));
    let (acme, file) = (acme(), format!("/{FILE}"));
    let signature = Reply::File(signer.sign(&acme, COMMENT));
    web.put(&format!("{file}.minisig"), [Reply::Status(503), Reply::Status(503), signature]);
    web.put(&file, [Reply::File(acme)]);
    let host = agent(plugins(&format!("ipa-plugin-urls={}", web.url(&file)), &[&signer]), &authority).start();
    host.log_line(&["plugin not fetched yet", "HTTP status 503", &web.url(&file)]);
    host.assert_well().await;
    let listed = list(&host).json();
    let pid = manager(&listed, "acme")["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).expect("it runs");
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("it runs");
    host.log_line(&["plugin acme", "was killed by SIGKILL"]);
    host.assert_well().await;
    host.log_line(&["plugin acme is started again"]);
    assert_eq!(manager(&list(&host).json(), "acme")["state"], "restarted");
    assert_eq!(host.terminate(), 0);
}

/// A server that nobody has certified gives nothing, and the agent serves. With `insecure` it is asked, and the
/// signature decides.
#[tokio::test]
async fn tls_is_checked_as_ironics_is_and_insecure_does_not_weaken_the_signature() {
    let (signer, authority, other) = (Signer::new(), Authority::named("a"), Authority::named("b"));
    let web = Web::start(server(&other.certify(HERE)));
    let acme = acme();
    let signature = signer.sign(&acme, COMMENT);
    for (place, bytes) in [("good", acme.as_slice()), ("bad", b"changed on its way")] {
        web.put(&format!("/{place}/{FILE}"), [Reply::File(bytes.to_vec())]);
        web.put(&format!("/{place}/{FILE}.minisig"), [Reply::File(signature.clone())]);
    }
    let (good, bad) = (web.url(&format!("/good/{FILE}")), web.url(&format!("/bad/{FILE}")));
    let line = format!("ipa-plugin-urls={good},{bad} ipa-lookup-timeout=1");
    let host = agent(plugins(&line, &[&signer]), &authority).start();
    host.log_line(&[&good, "it was not fetched within 1 s", "nobody who is trusted has signed it"]);
    assert!(web.received().is_empty(), "{:?}", web.received());
    assert_eq!(host.terminate(), 0);

    let host = agent(plugins(&line, &[&signer]), &authority).flag("--insecure").start();
    host.assert_well().await;
    host.log_line(&[&bad, "does not fit"]);
    assert_eq!(host.terminate(), 0);
}

/// Of two files with one version that of the plugin directory stays.
#[tokio::test]
async fn a_fetched_plugin_does_not_replace_the_same_version() {
    let (signer, authority) = (Signer::new(), Authority::named("a"));
    let web = Web::start(server(&authority.certify(HERE)));
    let (acme, file) = (acme(), format!("/{FILE}"));
    web.put(&format!("{file}.minisig"), [Reply::File(signer.sign(&acme, COMMENT))]);
    web.put(&file, [Reply::File(acme)]);
    let plugins = plugins(&format!("ipa-plugin-urls={}", web.url(&file)), &[&signer]).with(&artifacts::minimal());
    let host = agent(plugins, &authority).start();
    let listed = list(&host).json();
    assert_eq!(manager(&listed, "acme")["origin"], Value::Null);
    let cause = left_out(&listed, &web.url(&file))[0]["cause"].as_str().expect("text").to_owned();
    assert!(cause.contains("taken by libipa_example_minimal.so (version 1.0.0)"), "{cause}");
    host.assert_well().await;
}

/// `plugins check` and the developer's command, against the real minisign's keys and their own.
#[test]
fn what_is_signed_here_is_valid_there() {
    let directory = tempfile::tempdir().expect("a directory");
    let plugin = directory.path().join(FILE);
    fs::copy(artifacts::minimal(), &plugin).expect("our own directory");
    let check = |key: Option<&Path>| {
        let mut arguments = vec!["plugins".as_ref(), "check".as_ref(), "--json".as_ref(), plugin.as_os_str()];
        if let Some(key) = key {
            arguments.extend(["--plugin-key".as_ref(), key.as_os_str()]);
        }
        ipa_host(&arguments)
    };
    let signer = Signer::new();
    let unsigned = check(None);
    assert_eq!((unsigned.code, &unsigned.json()["signature"]["state"]), (Some(0), &json!("missing")), "{unsigned:#?}");
    assert_eq!(check(Some(&signer.public())).code, Some(1), "it must be signed by that key");
    let comment = unsigned.json()["signature"]["comment"].as_str().expect("text").to_owned();
    assert_eq!(comment, COMMENT);

    signing::sign(&plugin, &comment, &signer.secret(), None).expect("signed with a key of the real program");
    let valid = check(Some(&signer.public()));
    assert_eq!((valid.code, &valid.json()["signature"]["state"]), (Some(0), &json!("valid")), "{valid:#?}");
    let own = signing::generate(&directory.path().join("own"), Password::None).expect("made");
    let other = check(Some(&own.public));
    assert_eq!((other.code, &other.json()["signature"]["state"]), (Some(1), &json!("refused")), "{other:#?}");
    signing::sign(&plugin, &comment, &own.secret, None).expect("signed");
    assert_eq!(check(Some(&own.public)).code, Some(0));
    let signature = directory.path().join(format!("{FILE}.minisig"));
    fs::write(&signature, signer.sign(&fs::read(&plugin).expect("there"), &comment)).expect("our own directory");
    assert_eq!(check(Some(&signer.public())).code, Some(0), "signed by the real program");
    fs::write(&signature, "x").expect("our own directory");
    let broken = check(Some(&signer.public()));
    assert!(broken.code == Some(1) && broken.stdout.contains("no minisign signature"), "{broken:#?}");
}

/// Mounts a file system in memory as the CD of a BMC, then starts the host. Only the host sees it.
const WITH_CD: &str = r#"
set -eu
home=$1; shift
mkdir -p "$home/cd" "$home/run/udev/data" "$home/block/sr0/device"
mount -t tmpfs none "$home/cd"
cp -r "$home/medium/." "$home/cd"
number=$(mountpoint -d "$home/cd")
echo "$number" > "$home/block/sr0/dev"
echo 5 > "$home/block/sr0/device/type"
echo E:ID_FS_LABEL=config-2 > "$home/run/udev/data/b$number"
mount --bind "$home/block" /sys/class/block
mount --bind "$home/run" /run
mount --bind "$home/etc" /etc
mount --bind "$home/cmdline" /proc/cmdline
exec "$@"
"#;

/// Plugins on virtual media are used, with their origin, unless an option says no.
#[tokio::test]
async fn plugins_on_virtual_media_are_used_with_their_origin() {
    let start = |line: &str| {
        let plugins = plugins(line, &[]);
        let medium = plugins.home().join("medium/usr/lib/ipa/plugins");
        fs::create_dir_all(&medium).expect("our own directory");
        fs::copy(artifacts::minimal(), medium.join(FILE)).expect("our own directory");
        fs::write(medium.join("broken.so"), "no plugin").expect("our own directory");
        let home = plugins.home().display().to_string();
        let shell = ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", WITH_CD, "sh", &home];
        Host::with(plugins).inside(&shell).start()
    };
    let host = start("boot_method=vmedia");
    host.assert_well().await;
    let origin = "virtual media sr0";
    let listed = list(&host).json();
    assert_eq!(
        (&manager(&listed, "acme")["origin"], &manager(&listed, "acme")["file"]),
        (&json!(origin), &json!(FILE))
    );
    assert_eq!(left_out(&listed, origin)[0]["file"], "broken.so", "{listed:#}");
    assert!(host.has_logged(&["virtual media: sr0: copied 2 plugins"]), "{}", host.log());
    assert!(host.has_logged(&["broken.so from virtual media sr0 is not used", "no ELF file"]), "{}", host.log());
    assert!(host.has_logged(&["hardware manager found: acme (libipa_example_minimal.so from virtual media sr0"]));
    assert_eq!(host.terminate(), 0);

    let host = start("boot_method=vmedia ipa-enable-vmedia-plugins=0");
    assert_eq!(list(&host).json()["managers"].as_array().map(Vec::len), Some(1));
    assert_eq!(host.terminate(), 0);
}
