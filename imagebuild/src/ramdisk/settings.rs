//! The directories that programs expect, and what an operator puts into a ramdisk: keys, certificates, configuration.

use std::fs;
use std::path::{Path, PathBuf};

use super::options::Options;
use super::segment::PLUGINS;
use super::tree::{Content, Entry, Tree};
use crate::failure::{Doing, Failure, Outcome};
use crate::names;

const ORIGIN: &str = "ramdisk";
/// Where an operator's files are said to be from.
const GIVEN: &str = "option";
/// Largest file that an option may name.
const LARGEST: u64 = 1024 * 1024;
const CONFIG: &str = "etc/ironic-python-agent.d";
const PLUGIN_KEYS: &str = "etc/ipa/plugin-keys";
/// Where everything that speaks TLS looks for the certificates of authorities.
const AUTHORITIES: &str = "etc/ssl/certs/ca-certificates.crt";

/// Directories, links and devices that are there before anything is mounted.
///
/// # Errors
/// Never, as long as its names are in order.
pub(super) fn skeleton(tree: &mut Tree) -> Outcome {
    for name in [
        "dev",
        "etc",
        "mnt",
        "proc",
        "run",
        "sys",
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "usr/sbin",
        "var/lib",
        "var/log",
        "var/tmp",
        // What rescue writes must find its directory.
        "etc/ipa-rescue-config",
        CONFIG,
        PLUGIN_KEYS,
        PLUGINS,
    ] {
        tree.directory(name, 0o755, ORIGIN)?;
    }
    tree.directory("root", 0o700, ORIGIN)?;
    tree.directory("tmp", 0o1777, ORIGIN)?;
    for name in names::MERGED {
        // Not by `link`, which would put it below usr.
        let content = Content::Link(format!("usr/{name}"));
        tree.root_link(name, Entry { content, mode: 0o777, origin: ORIGIN.to_owned() });
    }
    for (name, target) in [
        ("init", "usr/bin/ipa-init"),
        ("usr/bin/ironic-python-agent", "ipa-host"),
        ("etc/mtab", "../proc/self/mounts"),
        ("var/lock", "/run/lock"),
        ("var/run", "/run"),
    ] {
        tree.link(name, target, ORIGIN)?;
    }
    // The kernel opens the first before the first process can make any.
    for (name, major, minor, mode) in [("dev/console", 5, 1, 0o600), ("dev/null", 1, 3, 0o666)] {
        tree.add(name, Entry { content: Content::Character(major, minor), mode, origin: ORIGIN.to_owned() })?;
    }
    Ok(())
}

/// What the options name. `public` are the certificates of the public authorities, from the package `package`.
///
/// # Errors
/// If a file is not what it should be, or could be a secret.
pub(super) fn add(tree: &mut Tree, options: &Options, public: &[&Path], package: &str) -> Outcome {
    let mut keys = String::new();
    for path in &options.ssh_keys {
        keys.push_str(&ssh_keys(path)?);
    }
    if !keys.is_empty() {
        tree.bytes("etc/ipa/authorized_keys", keys.into_bytes(), 0o600, GIVEN)?;
    }
    for path in &options.plugin_keys {
        let text = read(path)?;
        if !text.starts_with("untrusted comment:") || text.lines().count() < 2 {
            return Err(Failure::new(format!("{} is no public key of minisign", path.display())));
        }
        tree.file(&format!("{PLUGIN_KEYS}/{}", file_name(path, ".pub")?), path, 0o644, GIVEN)?;
    }
    for path in &options.config {
        read(path)?;
        // Only the owner, as a configuration can hold a password.
        tree.file(&format!("{CONFIG}/{}", file_name(path, ".conf")?), path, 0o600, GIVEN)?;
    }
    let given: Vec<&Path> = options.authorities.iter().map(PathBuf::as_path).collect();
    let mut bundle = String::new();
    for path in public.iter().chain(&given) {
        let text = read(path)?;
        if !text.contains("-----BEGIN CERTIFICATE-----") {
            return Err(Failure::new(format!("{} has no certificate in PEM", path.display())));
        }
        bundle.push_str(text.trim_end());
        bundle.push('\n');
    }
    let origin = if given.is_empty() { package } else { GIVEN };
    tree.bytes(AUTHORITIES, bundle.into_bytes(), 0o644, origin)
}

/// The keys in a file, one a line.
fn ssh_keys(path: &Path) -> Outcome<String> {
    let mut keys = String::new();
    for line in read(path)?.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        // Options may stand before the kind of the key, and its data after.
        let kind =
            |word: &&str| ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind));
        let mut words = line.split_whitespace().skip_while(|word| !kind(word));
        if words.next().is_none() || words.next().is_none_or(|data| !data.starts_with("AAAA")) {
            return Err(Failure::new(format!("{} has a line that is no public SSH key", path.display())));
        }
        keys.push_str(line);
        keys.push('\n');
    }
    if keys.is_empty() {
        return Err(Failure::new(format!("{} has no public SSH key", path.display())));
    }
    Ok(keys)
}

fn read(path: &Path) -> Outcome<String> {
    let reading = || format!("reading {}", path.display());
    if fs::metadata(path).doing(reading())?.len() > LARGEST {
        return Err(Failure::new(format!("{} is larger than {} KiB", path.display(), LARGEST / 1024)));
    }
    let text = fs::read_to_string(path).doing(reading())?;
    if text.contains("PRIVATE KEY-----") {
        let path = path.display();
        return Err(Failure::new(format!("{path} has a private key, and everyone who can boot a ramdisk can read it")));
    }
    Ok(text)
}

/// The name of a file, which must end so to be seen.
fn file_name<'a>(path: &'a Path, ending: &str) -> Outcome<&'a str> {
    path.file_name()
        .and_then(|name| name.to_str())
        .filter(|name| name.ends_with(ending))
        .ok_or_else(|| Failure::new(format!("{} would not be read: its name must end in {ending}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn public_keys_are_taken_and_private_ones_refused() {
        let directory = tempfile::tempdir().unwrap();
        let good = file(&directory, "a", "# me\nssh-ed25519 AAAAC3Nza me\nfrom=\"10.0.0.1\" ssh-rsa AAAAB3 you\n");
        assert_eq!(ssh_keys(&good).unwrap().lines().count(), 2);
        for (text, says) in [
            ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "private key"),
            ("", "no public SSH key"),
            ("ssh-rsa\n", "a line that is no public SSH key"),
            ("hello AAAA\n", "a line that is no public SSH key"),
        ] {
            let failure = ssh_keys(&file(&directory, "b", text)).unwrap_err().to_string();
            assert!(failure.contains(says), "{failure}");
        }
    }

    #[test]
    fn a_name_that_the_agent_would_not_read_is_refused() {
        assert_eq!(file_name(Path::new("/x/10-site.conf"), ".conf").unwrap(), "10-site.conf");
        assert!(file_name(Path::new("/x/site.ini"), ".conf").unwrap_err().to_string().contains(".conf"));
    }

    #[test]
    fn the_skeleton_has_what_a_kernel_needs_first() {
        let mut tree = Tree::default();
        skeleton(&mut tree).unwrap();
        let names: Vec<&str> = tree.iter().map(|(name, _)| name).collect();
        for name in ["bin", "dev/console", "dev/null", "init", "lib64", "proc", "usr/lib/ipa/plugins"] {
            assert!(names.contains(&name), "{name} is missing in {names:?}");
        }
    }
}
