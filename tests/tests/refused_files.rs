//! Files that are no plugins, or none to be trusted: each is refused with one clear line, all others load.

use ipa_tests::program::ipa_host;
use ipa_tests::{Host, PluginDir, broken_files};

/// One directory with every bad file and one good plugin.
#[tokio::test]
async fn every_bad_file_is_refused_with_a_reason_and_the_good_one_loads() {
    let plugins = PluginDir::with_acme();
    for broken in broken_files::ALL {
        broken.put(&plugins);
    }
    plugins.put(".hidden.so", b"not even looked at");
    plugins.put("README.txt", b"not a plugin by name");
    let host = Host::with(plugins).deadline("load", 2.0).start();
    host.assert_well().await;
    let log = host.log();
    for broken in broken_files::ALL {
        let name = broken.file.replace('\n', "\\n");
        let lines: Vec<&str> = log.lines().filter(|line| names_file(line, &name)).collect();
        assert!(!lines.is_empty(), "{name} is not in the log:\n{log}");
        let reason = lines.iter().any(|line| broken_files::names(line, broken.reasons));
        assert!(reason, "{name}: none of {:?} in {lines:#?}", broken.reasons);
        assert!(lines.iter().all(|line| line.len() < 1000), "{name}: {lines:#?}");
    }
    assert!(!log.contains(".hidden.so") && !log.contains("README.txt"), "{log}");
}

/// True if a line speaks of exactly this file, not of one whose name ends the same.
fn names_file(line: &str, name: &str) -> bool {
    line.match_indices(name).any(|(at, _)| !line[..at].ends_with(|char: char| char.is_alphanumeric() || char == '_'))
}

/// `plugins check` comes to the same verdict as the host, without running any code of the file.
#[test]
fn plugins_check_agrees() {
    for broken in broken_files::ALL.iter().filter(|broken| broken.checkable) {
        let plugins = PluginDir::new();
        broken.put(&plugins);
        let path = plugins.path().join(broken.file);
        let done = ipa_host(&["plugins".as_ref(), "check".as_ref(), path.as_os_str()]);
        assert_eq!(done.code, Some(1), "{}: {done:#?}", broken.file);
        let text = format!("{}{}", done.stdout, done.stderr);
        assert!(broken_files::names(&text, broken.reasons), "{}: none of {:?} in {text}", broken.file, broken.reasons);
    }
}

/// No header, whatever its bytes, brings the check down: it is refused with a reason, or found to be good.
#[test]
fn random_bytes_in_headers_are_survived() {
    for seed in 0..60 {
        let plugins = PluginDir::new();
        let path = plugins.put("corrupt.so", &broken_files::corrupt(seed, 1024));
        let done = ipa_host(&["plugins".as_ref(), "check".as_ref(), path.as_os_str()]);
        assert!(matches!(done.code, Some(0 | 1)), "seed {seed}: {done:#?}");
        assert!(!done.stderr.contains("panicked"), "seed {seed}: {done:#?}");
    }
}

/// The same with a host, which loads what looks good enough.
#[tokio::test]
async fn corrupt_files_do_not_disturb_the_host() {
    let plugins = PluginDir::with_acme();
    for seed in 0..20 {
        plugins.put(&format!("corrupt_{seed:02}.so"), &broken_files::corrupt(seed, 512));
    }
    let host = Host::with(plugins).deadline("load", 2.0).start();
    host.assert_well().await;
}

/// A symbolic link within the directory is as good as the file.
#[tokio::test]
async fn a_link_within_the_directory_is_followed() {
    let plugins = PluginDir::new();
    let bytes = std::fs::read(ipa_tests::artifacts::minimal()).expect("the plugin was built");
    plugins.put("acme-1.0.0.file", &bytes);
    std::os::unix::fs::symlink("acme-1.0.0.file", plugins.path().join("acme.so")).expect("our own directory");
    let host = Host::with(plugins).start();
    host.assert_well().await;
}
