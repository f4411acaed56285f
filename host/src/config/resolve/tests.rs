use std::path::{Path, PathBuf};
use std::time::Duration;

use super::*;
use crate::config::{Place, kernel_line};

/// A directory with configuration files.
struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a directory"))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, text: &str) -> (Files, PathBuf) {
        let path = self.path().join("agent.conf");
        std::fs::write(&path, text).expect("written");
        (Files::read(&[Place::File(path.clone())]).expect("readable"), path)
    }
}

fn flag(name: &'static str, value: &str) -> Flag {
    Flag { name, value: value.to_owned(), flag: name.replace('_', "-") }
}

fn variables<const N: usize>(pairs: [(&str, &str); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

fn refused(sources: &Sources) -> Vec<String> {
    let error = sources.resolve().expect_err("refused").to_string();
    let lines = error.lines().filter(|line| !line.ends_with("values cannot be used:"));
    lines.map(|line| line.trim().to_owned()).collect()
}

#[test]
fn each_source_is_above_the_next() {
    let home = Home::new();
    let (files, path) = home.file("listen_port = 3\n");
    let mut sources = Sources {
        flags: vec![flag("listen_port", "0"), flag("listen_port", "1")],
        environment: variables([("OS_DEFAULT__LISTEN_PORT", "2")]),
        files,
        media: kernel_line::parse("ipa-listen-port=4"),
        kernel: kernel_line::parse("ipa-listen-port=5"),
        without_ipv6: false,
    };
    let mut seen = Vec::new();
    let mut see = |sources: &Sources| {
        let (config, warnings) = sources.resolve().expect("valid");
        assert_eq!(warnings, Vec::<String>::new());
        seen.push((config.listen_port(), config.origin("listen_port").to_string()));
        config
    };
    see(&sources);
    sources.flags.clear();
    see(&sources);
    sources.environment.clear();
    see(&sources);
    sources.files = Files::default();
    see(&sources);
    sources.media.clear();
    see(&sources);
    sources.kernel.clear();
    let config = see(&sources);
    config.set("DEFAULT", "listen_port", &serde_json::json!(7), "mdns").expect("a port");
    seen.push((config.listen_port(), config.origin("listen_port").to_string()));
    let file = format!("{}:1", path.display());
    let expected = [
        (1, "command line: --listen-port"),
        (2, "environment: OS_DEFAULT__LISTEN_PORT"),
        (3, &file),
        (4, "virtual media: ipa-listen-port"),
        (5, "kernel line: ipa-listen-port"),
        (9999, "default"),
        (7, "mdns"),
    ];
    assert_eq!(seen, expected.map(|(port, origin)| (port, origin.to_owned())));
}

#[test]
fn ipa_debug_alone_is_above_the_command_line() {
    let home = Home::new();
    let (files, _) = home.file("debug = false\n");
    let sources = |flags: Vec<Flag>, line: &str| Sources {
        flags,
        files: files.clone(),
        kernel: kernel_line::parse(line),
        ..Sources::default()
    };
    let debug = |sources: Sources| sources.resolve().expect("valid").0.debug();
    assert!(debug(sources(vec![flag("debug", "true")], "")));
    assert!(!debug(sources(vec![flag("debug", "true")], "ipa-debug=0")));
    assert!(debug(sources(vec![], "ipa-debug=Y")));
    assert!(!debug(sources(vec![flag("debug", "true")], "ipa-debug=what")), "a word that means nothing is false");
}

#[test]
fn bad_values_are_named_with_source_value_and_what_is_allowed() {
    let home = Home::new();
    let (files, path) = home.file("[DEFAULT]\nlookup_timeout = soon\nadvertise_protocol = ftp\n");
    let sources = Sources {
        flags: vec![flag("listen_port", "70000")],
        environment: variables([("OS_DISK_UTILS__PARTPROBE_ATTEMPTS", "-1")]),
        files,
        kernel: kernel_line::parse("ipa-api-url=ironic:6385 ipa-insecure=perhaps ipa-lldp-timeout=NaN"),
        ..Sources::default()
    };
    let path = path.display();
    assert_eq!(
        refused(&sources),
        [
            "kernel line: ipa-api-url: api_url is \"ironic:6385\"; allowed is an http:// or https:// URL, several \
             between commas, or mdns"
                .to_owned(),
            "command line: --listen-port: listen_port is \"70000\"; allowed is a whole number from 0 to 65535"
                .to_owned(),
            format!("{path}:3: advertise_protocol is \"ftp\"; allowed is one of http, https"),
            format!("{path}:2: lookup_timeout is \"soon\"; allowed is a whole number of at least 0"),
            "kernel line: ipa-lldp-timeout: lldp_timeout is \"NaN\"; allowed is a number of at least 0".to_owned(),
            "kernel line: ipa-insecure: insecure is \"perhaps\"; allowed is true or false (also 1, on, yes and 0, \
             off, no)"
                .to_owned(),
            "environment: OS_DISK_UTILS__PARTPROBE_ATTEMPTS: [disk_utils]partprobe_attempts is \"-1\"; allowed is a \
             whole number of at least 1"
                .to_owned(),
        ]
    );
}

#[test]
fn a_bad_value_that_is_not_used_only_warns() {
    let sources = Sources {
        flags: vec![flag("listen_port", "1")],
        kernel: kernel_line::parse("ipa-listen-port=x"),
        ..Sources::default()
    };
    let (config, warnings) = sources.resolve().expect("valid");
    assert_eq!(config.listen_port(), 1);
    assert_eq!(
        warnings,
        ["kernel line: ipa-listen-port: listen_port is \"x\"; allowed is a whole number from 0 to 65535; it is not \
          used: command line: --listen-port"]
    );
}

#[test]
fn no_error_repeats_a_secret() {
    let home = Home::new();
    let (files, _) = home.file("image_server_password = hunter2$nothing\n");
    let text = refused(&Sources { files, ..Sources::default() }).join("\n");
    assert!(text.contains("image_server_password is \"***\""), "{text}");
    assert!(!text.contains("hunter2") && !text.contains("nothing"), "{text}");
}

#[test]
fn long_values_are_shortened_in_errors() {
    let sources = Sources { flags: vec![flag("listen_port", &"ß".repeat(1 << 20))], ..Sources::default() };
    assert!(refused(&sources)[0].len() < 400);
}

#[test]
fn names_that_nothing_is_called_are_warned_about() {
    let home = Home::new();
    let (files, path) = home.file(
        "api_ulr = http://x\nguard-special-filesystems = no\nuse_stderr = true\ndd_block_size = 1M\nxyz = 1\n\
         [disk_util]\na = 1\nb = 2\n[plugin:acme]\nanything = goes\n[ssl]\ncert_file = /c\nkey_file = /k\n",
    );
    let sources = Sources {
        environment: variables([("OS_DEFAULT__LISTEN_PROT", "1"), ("OS_SHARE__X", "1")]),
        kernel: kernel_line::parse(
            "ipa-api-ulr=http://x ipa-reboot-mode=kexec ipa-debug=1 ipa-inspection-benchmarks=cpu",
        ),
        files,
        ..Sources::default()
    };
    let (config, warnings) = sources.resolve().expect("valid");
    assert_eq!(config.tls_cert_file(), Some("/c".into()), "an older name is read");
    let path = path.display();
    assert_eq!(
        warnings,
        [
            format!("{path}:1: there is no option \"api_ulr\" in [DEFAULT]; did you mean api_url?"),
            format!(
                "{path}:2: there is no option \"guard-special-filesystems\" in [DEFAULT]; did you mean \
                 guard_special_filesystems?"
            ),
            format!("{path}:3: use_stderr has no effect; this agent logs to standard error"),
            format!("{path}:4: there is no option \"dd_block_size\" in [DEFAULT]; it belongs into [disk_utils]"),
            format!("{path}:5: there is no option \"xyz\" in [DEFAULT]"),
            format!("{path}:7: there is no section \"disk_util\"; did you mean disk_utils?"),
            "environment: OS_DEFAULT__LISTEN_PROT is no option; did you mean OS_DEFAULT__LISTEN_PORT?".to_owned(),
            "kernel line: ipa-api-ulr is no parameter of the agent; did you mean ipa-api-url?".to_owned(),
        ]
    );
}

#[test]
fn a_file_of_nonsense_does_not_fill_the_log() {
    let home = Home::new();
    let text: String = (0..100_000).map(|number| format!("k{number}=1\n")).collect();
    let (files, _) = home.file(&text);
    let (_, warnings) = Sources { files, ..Sources::default() }.resolve().expect("valid");
    assert_eq!(warnings.len(), 21);
    assert!(warnings[20].contains("there are more names"));
}

#[test]
fn values_may_name_other_options_and_lists_are_split() {
    let home = Home::new();
    let (files, _) = home.file(
        "advertise_host = ipa-${advertise_port}.lan\npermitted_image_formats = raw, qcow2 ,iso,\n\
         image_server_password = a$$b\nlookup_timeout=99999999999\n[container]\nrun_options =\n",
    );
    let kernel = kernel_line::parse("ipa-advertise-port=7000 ipa-api-url=http://a:1/,,https://b");
    let (config, _) = Sources { files, kernel, ..Sources::default() }.resolve().expect("valid");
    assert_eq!(config.advertise_host().as_deref(), Some("ipa-7000.lan"));
    assert_eq!(config.permitted_image_formats(), ["raw", "qcow2", "iso"]);
    assert_eq!(config.container_run_options(), Vec::<String>::new());
    assert_eq!(config.image_server_password().as_deref(), Some("a$b"));
    assert_eq!(config.api_urls(), ["http://a:1/", "https://b"]);
    assert!(config.lookup_timeout() > Duration::from_secs(86_400 * 365));
    assert!(std::time::Instant::now().checked_add(config.lookup_timeout()).is_some());
}

#[test]
fn half_a_pair_of_certificate_and_key_is_warned_about() {
    let flags = vec![flag("certfile", "/c"), flag("tls_key_file", "/k"), flag("tls_cert_file", "/c")];
    let (_, warnings) = Sources { flags, ..Sources::default() }.resolve().expect("valid");
    assert_eq!(warnings, ["command line: --certfile: certfile is set but keyfile is not, so neither is used"]);
}

#[test]
fn without_ipv6_the_agent_listens_on_ipv4() {
    let sources = Sources { without_ipv6: true, ..Sources::default() };
    assert_eq!(sources.resolve().expect("valid").0.listen_host(), "0.0.0.0");
    assert_eq!(Sources::default().resolve().expect("valid").0.listen_host(), "::");
}

#[test]
fn the_wait_for_an_address_has_a_kernel_word_of_another_name() {
    let kernel = kernel_line::parse("ipa-ip-lookup-attempts=3 ipa-ip-lookup-timeout=7 ipa-ip-lookup-sleep=9");
    let sources = Sources {
        flags: Vec::new(),
        environment: BTreeMap::new(),
        files: Files::read(&[]).expect("none"),
        media: BTreeMap::new(),
        kernel,
        without_ipv6: false,
    };
    let (config, _) = sources.resolve().expect("valid");
    assert_eq!((config.ip_lookup_attempts(), config.ip_lookup_sleep()), (3, Duration::from_secs(7)));
}
