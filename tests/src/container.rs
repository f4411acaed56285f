//! A Debian 12 with systemd as its process 1, in a container that has no devices and no network but its own loopback.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::artifacts;
use crate::debian::{self, done, said};

/// Longest time for systemd to come up on a busy machine.
const BOOT: Duration = Duration::from_secs(120);
/// Longest time for anything else that is waited for; an agent waits a minute for a network interface.
const PATIENCE: Duration = Duration::from_secs(150);
/// How often systemd is asked. What is waited for has no descriptor that could be polled from outside.
const POLL: Duration = Duration::from_millis(100);
/// The signal by which a manager of containers asks the systemd of one to end.
const END: &str = "RTMIN+4";

/// An installed system that does not run.
#[derive(Debug)]
pub struct Tree(TempDir);

/// A system that runs. Dropping it ends it.
#[derive(Debug)]
pub struct Container {
    nspawn: Child,
    init: u32,
    tree: Tree,
}

impl Tree {
    /// A new Debian.
    pub fn debian() -> Self {
        Self::copy_of(&debian::tree())
    }

    /// A new Debian that has nothing but these packages and what they need; `purpose` is a word for its files.
    pub fn with_packages(purpose: &str, packages: &[&str]) -> Self {
        Self::copy_of(&debian::with_packages(purpose, packages))
    }

    fn copy_of(base: &Path) -> Self {
        let directory = tempfile::Builder::new()
            .prefix("container-")
            .tempdir_in(artifacts::target_dir())
            .expect("a directory of our own");
        for entry in fs::read_dir(base).expect("a directory of our own") {
            let entry = entry.expect("readable");
            if entry.file_name() == "dev" {
                // A container gets devices of its own.
                fs::create_dir(directory.path().join("dev")).expect("our own directory");
                continue;
            }
            let mut copy = Command::new("cp");
            copy.args(["--archive", "--no-target-directory"]);
            // Nothing but dpkg writes there, and it replaces files and never changes them.
            if entry.file_name() == "usr" {
                copy.arg("--link");
            }
            done(copy.arg(entry.path()).arg(directory.path().join(entry.file_name())));
        }
        Self(directory)
    }

    /// Where a path of it is on this machine.
    pub fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path.trim_start_matches('/'))
    }

    /// Writes a file of it.
    pub fn write(&self, path: &str, content: &str) {
        let place = self.path(path);
        fs::create_dir_all(place.parent().expect("below the root")).expect("our own tree");
        fs::write(&place, content).unwrap_or_else(|error| panic!("{}: {error}", place.display()));
    }

    /// Runs a program in it, without booting it, and gives what it writes to standard output and error.
    pub fn run(&self, argv: &[&str]) -> Result<String, String> {
        let output = self.nspawn().args(["--as-pid2", "--"]).args(argv).stdin(Stdio::null()).output();
        let output = output.unwrap_or_else(|error| panic!("systemd-nspawn: {error}"));
        let text = said(&output);
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// Installs packages of a directory with apt, without what they merely recommend.
    pub fn install(&self, packages: &[PathBuf]) {
        let mut argv = vec!["apt-get", "--yes", "--no-install-recommends", "install"];
        let places: Vec<String> = packages.iter().map(|package| self.take(package)).collect();
        argv.extend(places.iter().map(String::as_str));
        self.run(&argv).unwrap_or_else(|said| panic!("{argv:?}:\n{said}"));
        places.iter().for_each(|place| fs::remove_file(self.path(place)).expect("copied before"));
    }

    /// Copies a file into it and gives its path there.
    fn take(&self, file: &Path) -> String {
        let place = format!("/root/{}", file.file_name().expect("a file").display());
        fs::copy(file, self.path(&place)).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        place
    }

    /// All paths of it below `places`, a line each with mode and owner.
    pub fn list(&self, places: &[&str]) -> String {
        let mut find = Command::new("find");
        find.current_dir(self.0.path()).args(places).args(["-printf", "%p %y %m %u %g\n"]);
        let list = done(&mut find);
        let mut lines: Vec<&str> = list.lines().collect();
        lines.sort_unstable();
        lines.join("\n")
    }

    /// Boots it.
    pub fn boot(self) -> Container {
        let console = fs::File::create(self.path("/var/log/console")).expect("our own tree");
        let nspawn = self
            .nspawn()
            .arg("--boot")
            .stdin(Stdio::null())
            .stdout(console.try_clone().expect("a descriptor"))
            .stderr(console)
            .spawn()
            .unwrap_or_else(|error| panic!("systemd-nspawn: {error}"));
        let mut container = Container { nspawn, init: 0, tree: self };
        let up = container.wait_until(BOOT, |container| {
            container.init = container.find_init()?;
            let state = container.run(&["systemctl", "is-system-running"]).unwrap_or_else(|said| said);
            // Something of Debian may have failed in a container; that is not our business.
            matches!(state.trim(), "running" | "degraded").then_some(())
        });
        assert!(up.is_some(), "systemd does not come up:\n{}", container.console());
        container
    }

    fn nspawn(&self) -> Command {
        let mut command = Command::new("systemd-nspawn");
        // No registration, as the machine may have no systemd; no device can be made or opened, no clock be set.
        command.args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--link-journal=no"]);
        command.args(["--drop-capability=CAP_MKNOD,CAP_SYS_TIME,CAP_SYS_RAWIO,CAP_SYS_MODULE,CAP_SYS_BOOT"]);
        command.args(["--timezone=off", "--resolv-conf=off", "--directory"]).arg(self.0.path());
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    }
}

impl Container {
    /// The tree that it runs on.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Runs a program in it and gives what it writes to standard output and error.
    pub fn run(&self, argv: &[&str]) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.init.to_string(), "--"]).args(argv);
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("nsenter: {error}"));
        let text = said(&output);
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// Runs a program of this machine in the container's network.
    pub fn in_its_network(&self, argv: &[&str]) -> Result<String, String> {
        let mut command = Command::new("nsenter");
        command.args(["--net", "--target", &self.init.to_string(), "--"]).args(argv).stdin(Stdio::null());
        let output = command.output().unwrap_or_else(|error| panic!("nsenter: {error}"));
        let text = said(&output);
        if output.status.success() { Ok(text) } else { Err(text) }
    }

    /// `systemctl` with these arguments, which must succeed.
    pub fn systemctl(&self, arguments: &[&str]) -> String {
        let said = self.run(&[&["systemctl"], arguments].concat());
        said.unwrap_or_else(|said| panic!("systemctl {arguments:?}: {said}\n{}", self.journal()))
    }

    /// A property of a unit.
    pub fn property(&self, unit: &str, name: &str) -> String {
        self.systemctl(&["show", "--value", "--property", name, unit]).trim().to_owned()
    }

    /// Waits until a unit's properties are these. Panics with the journal if they do not become so.
    pub fn wait_for(&self, unit: &str, properties: &[(&str, &str)]) {
        let fits = |name: &str, value: &str| self.property(unit, name) == value;
        let end = Instant::now() + PATIENCE;
        while !properties.iter().all(|(name, value)| fits(name, value)) {
            if Instant::now() >= end {
                let mut are = String::new();
                for (name, value) in properties {
                    writeln!(are, "{name} is {:?}, not {value:?}", self.property(unit, name)).expect("memory");
                }
                panic!("{unit}: {are}{}", self.journal());
            }
            thread::sleep(POLL);
        }
    }

    /// Waits until `question` has an answer.
    pub fn wait<T>(&mut self, what: &str, question: impl FnMut(&mut Self) -> Option<T>) -> T {
        let answer = self.wait_until(PATIENCE, question);
        answer.unwrap_or_else(|| panic!("in vain waited for {what}:\n{}", self.journal()))
    }

    fn wait_until<T>(&mut self, patience: Duration, mut question: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
        let end = Instant::now() + patience;
        loop {
            if let Some(answer) = question(self) {
                return Some(answer);
            }
            if Instant::now() >= end || !matches!(self.nspawn.try_wait(), Ok(None)) {
                return None;
            }
            thread::sleep(POLL);
        }
    }

    /// What its journal has.
    pub fn journal(&self) -> String {
        self.run(&["journalctl", "--no-pager", "--output=short-monotonic"]).unwrap_or_else(|said| said)
    }

    fn console(&self) -> String {
        fs::read_to_string(self.tree.path("/var/log/console")).unwrap_or_default()
    }

    /// The process that is number 1 in there.
    fn find_init(&self) -> Option<u32> {
        let number = self.nspawn.id();
        let children = fs::read_to_string(format!("/proc/{number}/task/{number}/children")).ok()?;
        children.split_whitespace().next()?.parse().ok()
    }

    fn stop(&mut self) {
        if self.init != 0 {
            // If it cannot be asked it is killed.
            let _ = Command::new("kill").args(["-s", END, &self.init.to_string()]).status();
            self.wait_until(PATIENCE, |container| (!matches!(container.nspawn.try_wait(), Ok(None))).then_some(()));
        }
        // With nspawn its container ends.
        let _ = self.nspawn.kill();
        let _ = self.nspawn.wait();
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.stop();
    }
}
