//! Who may log in: nobody, unless it is asked for.
//!
//! * the rescue password that the agent writes: the user `rescue`, on the consoles and by SSH,
//! * `sshkey="..."` on the kernel line or `/etc/ipa/authorized_keys` in the ramdisk: root, by SSH with that key,
//! * `rootpwd="..."`, a password's hash, plain or in base64: root, on the consoles,
//! * `systemd.debug_shell`, with `=TTY` or without: a shell without any login, for who builds ramdisks.
//!
//! The words are those of upstream's ramdisk: diskimage-builder's element `dynamic-login`, and systemd. Upstream gives
//! `rescue` all rights by way of sudo; here the user has the number 0, which is the same without a further program.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::kernel_line::KernelLine;
use crate::process::{command, run};

/// Where the agent writes the hash of the rescue password.
pub const RESCUE_PASSWORD: &str = "etc/ipa-rescue-config/ipa-rescue-password";
/// SSH keys that were built in.
const KEYS: &str = "etc/ipa/authorized_keys";
/// The shell of everyone; busybox has it.
const SHELL: &str = "/bin/sh";
const BUSYBOX: &str = "/usr/bin/busybox";
/// The server, which a ramdisk has only if it was asked for.
pub const DROPBEAR: &str = "/usr/sbin/dropbear";
/// The most that is read of a password's hash or of keys, in bytes.
const LIMIT: usize = 64 * 1024;

/// What the kernel line and the ramdisk ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Asked {
    /// Keys of root.
    pub keys: Vec<String>,
    /// Hash of root's password.
    pub root_hash: Option<String>,
    /// Terminal of the shell without login; the empty one is the first console.
    pub shell: Option<String>,
    /// What cannot be done, for the log.
    pub complaints: Vec<String>,
}

/// Reads what is asked for.
pub fn asked(line: &KernelLine, root: &Path) -> Asked {
    let mut asked = Asked::default();
    let built_in = fs::read_to_string(root.join(KEYS)).unwrap_or_default();
    let lines = built_in.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    for key in line.all("sshkey").chain(lines) {
        if key.len() <= LIMIT && key.split(' ').count() >= 2 && !key.contains(char::is_control) {
            asked.keys.push(key.to_owned());
        } else {
            asked.complaints.push("an SSH key is not in the form \"TYPE KEY COMMENT\" and is left out".to_owned());
        }
    }
    if let Some(word) = line.value("rootpwd") {
        asked.root_hash = root_hash(word);
        if asked.root_hash.is_none() {
            asked
                .complaints
                .push("rootpwd= is no hash of a password, plain or in base64; root cannot log in".to_owned());
        }
    }
    if line.has("systemd.debug_shell") {
        let terminal = line.value("systemd.debug_shell").unwrap_or_default();
        asked.shell = match terminal {
            "0" | "no" | "false" | "off" => None,
            "" | "1" | "yes" | "true" | "on" => Some(String::new()),
            name if name.chars().all(|c| c.is_ascii_alphanumeric()) => Some(name.to_owned()),
            _ => None,
        };
    }
    asked
}

fn root_hash(word: &str) -> Option<String> {
    let plain = word.replace("\\$", "$");
    if plain.starts_with('$') {
        return checked(&plain);
    }
    let decoded = STANDARD.decode(word).ok()?;
    checked(std::str::from_utf8(&decoded).ok()?.trim())
}

/// A hash that can stand in a line of `/etc/shadow`.
fn checked(hash: &str) -> Option<String> {
    let fits = (1..=4096).contains(&hash.len()) && !hash.contains(|c: char| c.is_control() || c == ':' || c == ' ');
    fits.then(|| hash.to_owned())
}

/// Gives a user a password, and makes the user if there is none of that name.
///
/// # Errors
/// A file of `/etc` cannot be written.
pub fn set_password(root: &Path, user: &str, home: &str, hash: &str) -> io::Result<()> {
    let etc = root.join("etc");
    let read = |name: &str| fs::read_to_string(etc.join(name)).unwrap_or_default();
    let passwd = with_line(&read("passwd"), user, &format!("{user}:x:0:0:{user}:{home}:{SHELL}"), false);
    let shadow = with_line(&read("shadow"), user, &format!("{user}:{hash}:20000:0:99999:7:::"), true);
    let group = with_line(&read("group"), "root", "root:x:0:", false);
    let home = root.join(home.trim_start_matches('/'));
    fs::create_dir_all(&home)?;
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700))?;
    replace(&etc.join("passwd"), &passwd, 0o644)?;
    replace(&etc.join("group"), &group, 0o644)?;
    replace(&etc.join("shadow"), &shadow, 0o600)?;
    if !etc.join("shells").exists() {
        replace(&etc.join("shells"), &format!("{SHELL}\n"), 0o644)?;
    }
    Ok(())
}

/// Lines of `NAME:...` with that of one name added, or put in place of the one that is there.
fn with_line(text: &str, name: &str, line: &str, in_place: bool) -> String {
    let is_it = |known: &&str| known.split(':').next() == Some(name);
    if !in_place && text.lines().any(|known| is_it(&known)) {
        return text.to_owned();
    }
    let others = text.lines().filter(|known| !is_it(known) && !known.is_empty());
    others.chain([line]).flat_map(|line| [line, "\n"]).collect()
}

/// Puts a file in place whole.
fn replace(path: &Path, content: &str, mode: u32) -> io::Result<()> {
    let draft = path.with_added_extension("new");
    let _ = fs::remove_file(&draft);
    OpenOptions::new().write(true).create_new(true).mode(mode).open(&draft)?.write_all(content.as_bytes())?;
    fs::rename(draft, path)
}

/// Lets root in with these keys.
///
/// # Errors
/// The file with the keys cannot be written.
pub fn set_keys(root: &Path, keys: &[String]) -> io::Result<()> {
    // Without any password: only the keys open.
    if !fs::read_to_string(root.join("etc/shadow")).unwrap_or_default().starts_with("root:") {
        set_password(root, "root", "/root", "*")?;
    }
    let directory = root.join("root/.ssh");
    fs::create_dir_all(&directory)?;
    fs::set_permissions(root.join("root"), fs::Permissions::from_mode(0o700))?;
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700))?;
    replace(&directory.join("authorized_keys"), &(keys.join("\n") + "\n"), 0o600)
}

/// The hash of the rescue password, if the agent wrote one.
///
/// # Errors
/// There is a file that holds no hash.
pub fn rescue_hash(root: &Path) -> Option<Result<String, String>> {
    let text = fs::read_to_string(root.join(RESCUE_PASSWORD)).ok()?;
    let hash = checked(text.trim_end_matches('\n'));
    Some(hash.ok_or(format!("/{RESCUE_PASSWORD} holds no hash of a password, nobody can log in")))
}

/// Links for all that busybox can do, for a person to find. Those that are there stay.
///
/// # Errors
/// busybox cannot do it.
pub fn install_applets() -> Result<(), String> {
    run(command(&[BUSYBOX, "--install", "-s"]), Duration::from_secs(30))
}

/// A login on a terminal, of its name.
pub fn getty(terminal: &str) -> Vec<String> {
    // Rate 0 keeps what the kernel has set; on tty0 whichever terminal is in front would be opened.
    let terminal = if terminal == "tty0" { "tty1" } else { terminal };
    [BUSYBOX, "getty", "-L", "0", terminal, "linux"].map(str::to_owned).to_vec()
}

/// A shell on a terminal, without login.
pub fn shell(terminal: &str) -> Vec<String> {
    let mut argv = getty(terminal);
    argv.splice(2..2, ["-n", "-l", SHELL].map(str::to_owned));
    argv
}

/// The SSH server, with or without passwords. Keys of its own it makes when the first one comes.
pub fn sshd(with_passwords: bool) -> Vec<String> {
    let mut argv = vec![DROPBEAR, "-F", "-E", "-R"];
    if !with_passwords {
        argv.push("-s");
    }
    argv.into_iter().map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(line: &str) -> Asked {
        asked(&KernelLine::parse(line), Path::new("/no/such/root"))
    }

    #[test]
    fn nobody_gets_in_unasked() {
        assert_eq!(ask("quiet console=ttyS0 sshd rescue"), Asked::default());
        assert_eq!(ask("systemd.debug_shell=0").shell, None);
        assert_eq!(ask("systemd.debug_shell=../x").shell, None);
        assert_eq!(ask("systemd.debug_shell").shell, Some(String::new()));
        assert_eq!(ask("systemd.debug_shell=ttyS1").shell.as_deref(), Some("ttyS1"));
    }

    #[test]
    fn keys_and_hashes_of_the_kernel_line() {
        let asked = ask("sshkey=\"ssh-ed25519 AAAA me\" sshkey=nonsense rootpwd=\"$6$salt$hash\"");
        assert_eq!(asked.keys, ["ssh-ed25519 AAAA me"]);
        assert_eq!(asked.root_hash.as_deref(), Some("$6$salt$hash"));
        assert_eq!(asked.complaints.len(), 1);
        let encoded = STANDARD.encode("$6$salt$hash\n");
        assert_eq!(ask(&format!("rootpwd=\"{encoded}\"")).root_hash.as_deref(), Some("$6$salt$hash"));
        assert_eq!(ask("rootpwd=\"\\$6\\$salt\\$hash\"").root_hash.as_deref(), Some("$6$salt$hash"));
        for bad in ["rootpwd=", "rootpwd=secret", "rootpwd=\"$6$a:0:0\"", "rootpwd=\"$6$a b\""] {
            assert!(ask(bad).root_hash.is_none() && !ask(bad).complaints.is_empty(), "{bad}");
        }
    }

    #[test]
    fn a_user_is_made_once_and_its_password_replaced() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("etc")).unwrap();
        fs::write(root.path().join("etc/passwd"), "root:x:0:0:root:/root:/bin/bash\n").unwrap();
        fs::write(root.path().join("etc/shadow"), "root:*:1::::::\n").unwrap();
        for hash in ["$5$a$b", "$5$c$d"] {
            set_password(root.path(), "rescue", "/home/rescue", hash).unwrap();
        }
        let read = |name: &str| fs::read_to_string(root.path().join("etc").join(name)).unwrap();
        assert_eq!(read("passwd"), "root:x:0:0:root:/root:/bin/bash\nrescue:x:0:0:rescue:/home/rescue:/bin/sh\n");
        assert_eq!(read("shadow"), "root:*:1::::::\nrescue:$5$c$d:20000:0:99999:7:::\n");
        assert_eq!(fs::metadata(root.path().join("etc/shadow")).unwrap().permissions().mode() & 0o777, 0o600);
        set_keys(root.path(), &["ssh-ed25519 AAAA".to_owned()]).unwrap();
        let keys = root.path().join("root/.ssh/authorized_keys");
        assert_eq!(fs::read_to_string(&keys).unwrap(), "ssh-ed25519 AAAA\n");
        assert_eq!(read("shadow").lines().count(), 2);
    }

    #[test]
    fn the_agents_file() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(rescue_hash(root.path()), None);
        fs::create_dir_all(root.path().join("etc/ipa-rescue-config")).unwrap();
        let file = root.path().join(RESCUE_PASSWORD);
        fs::write(&file, "$5$salt$hash").unwrap();
        assert_eq!(rescue_hash(root.path()), Some(Ok("$5$salt$hash".to_owned())));
        fs::write(&file, "a:0:0\nroot::0").unwrap();
        assert!(rescue_hash(root.path()).unwrap().is_err());
    }
}
