//! What `ipa-host` makes of files, environment, flags, kernel line and virtual media.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ipa_tests::host::TOKEN;
use ipa_tests::program::{Finished, ipa_host, ipa_host_with};
use ipa_tests::{Host, PluginDir};
use serde_json::{Value, json};

/// Exit code of a failure.
const FAILURE: i32 = 70;
/// `left.sh ROOT COMMAND [ARGUMENT...]`: runs COMMAND where the CD of the machine in ROOT is mounted twice on
/// `/mnt/config`, and says whether it still is when COMMAND has ended. The CD's drive has no node.
const LEFT_MOUNTED: &str = r#"
set -eu
if [ "$1" != --inside ]; then
    exec unshare --mount --propagation private -- sh "$0" --inside "$@"
fi
root=$2
shift 2
mount -t tmpfs left /mnt
mkdir /mnt/config
mount -o loop,ro "$root/dev/sr0" /mnt/config
mount --bind /mnt/config/openstack /mnt/config
mount --bind "$root/proc/cmdline" /proc/cmdline
mount --bind "$root/sys/class/block" /sys/class/block
mount --bind "$root/run" /run
code=0
"$@" || code=$?
mountpoint -q /mnt/config && left=mounted || left=released
echo "ended with $code, $left"
"#;

/// A directory that stands for a machine's `/`.
struct Machine {
    root: tempfile::TempDir,
}

impl Machine {
    fn with_kernel_line(line: &str) -> Self {
        let machine = Self { root: tempfile::tempdir().expect("a directory") };
        machine.write("proc/cmdline", &format!("quiet console=ttyS0 {line}\n"));
        machine
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, text: &str) -> String {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().expect("below the root")).expect("made");
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }

    /// Runs `ipa-host config` on it.
    fn config(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Finished {
        let root = self.root.path().display().to_string();
        ipa_host_with(environment, &[&["config", "--root", &root], arguments].concat())
    }

    /// A CD drive with a real file system, made from the directory `medium`, and a label that udev knows.
    fn insert_cd(&self, label: &str) {
        self.write("sys/class/block/sr0/dev", "11:0\n");
        self.write("sys/class/block/sr0/device/type", "5\n");
        self.write("run/udev/data/b11:0", &format!("E:ID_FS_LABEL={label}\n"));
        let device = self.write("dev/sr0", "");
        let made = Command::new("mke2fs")
            .args(["-q", "-t", "ext2", "-d"])
            .arg(self.path("medium"))
            .args([&device, "256k"])
            .status();
        assert!(made.expect("e2fsprogs is installed").success());
    }
}

/// The value and the source of an option of group `DEFAULT`.
fn option(done: &Finished, name: &str) -> (Value, String) {
    assert_eq!(done.code, Some(0), "{done:#?}");
    let option = &done.json()["options"]["DEFAULT"][name];
    (option["value"].clone(), option["source"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn each_source_is_above_the_next() {
    let machine = Machine::with_kernel_line("ipa-listen-port=1 ipa-listen-port=2");
    let port = |done: &Finished| option(done, "listen_port");
    assert_eq!(port(&machine.config(&[], &["--json"])), (json!(2), "kernel line: ipa-listen-port".to_owned()));

    let first = machine.write("conf/agent.conf", "\n[DEFAULT]\nlisten_port = 3\n");
    let file = ["--json", "--config-file", &first];
    assert_eq!(port(&machine.config(&[], &file)), (json!(3), format!("{first}:3")));

    let directory = machine.path("conf.d").display().to_string();
    machine.write("conf.d/20.conf", "listen_port = 5\n");
    machine.write("conf.d/10.conf", "listen_port = 4\n");
    machine.write("conf.d/30.conf.bak", "listen_port = 6\n");
    let files = [file.as_slice(), &["--config-dir", &directory]].concat();
    assert_eq!(port(&machine.config(&[], &files)), (json!(5), format!("{directory}/20.conf:1")));

    let environment = [("OS_DEFAULT__LISTEN_PORT", "7")];
    assert_eq!(
        port(&machine.config(&environment, &files)),
        (json!(7), "environment: OS_DEFAULT__LISTEN_PORT".to_owned())
    );

    let flags = [files.as_slice(), &["--listen_port=8"]].concat();
    assert_eq!(port(&machine.config(&environment, &flags)), (json!(8), "command line: --listen-port".to_owned()));
}

#[test]
fn without_files_the_usual_places_are_searched() {
    let machine = Machine::with_kernel_line("");
    machine.write("etc/ironic-python-agent.conf", "listen_port = 3\nlookup_timeout = 30\n");
    machine.write("etc/ironic-python-agent.conf.d/a.conf", "listen_port = 4\n");
    let done = machine.config(&[], &["--json"]);
    assert_eq!(option(&done, "listen_port").0, 4);
    assert_eq!(option(&done, "lookup_timeout").0, 30);
    // Each is searched only if none of its kind is given.
    let given = machine.write("given.conf", "");
    let done = machine.config(&[], &["--json", "--config-file", &given]);
    assert_eq!(option(&done, "lookup_timeout").0, 600);
    assert_eq!(option(&done, "listen_port").0, 4);
}

#[test]
fn ipa_debug_alone_is_above_the_command_line() {
    let machine = Machine::with_kernel_line("ipa-debug=no ipa-insecure=1");
    let done = machine.config(&[], &["--json", "--debug", "--noinsecure"]);
    assert_eq!(option(&done, "debug"), (json!(false), "kernel line: ipa-debug".to_owned()));
    assert_eq!(option(&done, "insecure"), (json!(false), "command line: --noinsecure".to_owned()));
}

#[test]
fn all_bad_values_are_named_with_their_sources_at_once() {
    let machine = Machine::with_kernel_line("ipa-api-url=ironic ipa-ip-lookup-attempts=0");
    let file = machine.write("bad.conf", "[disk_utils]\nimage_convert_attempts = many\n");
    let done = machine.config(&[("OS_DEFAULT__ENABLE_AUTO_TLS", "perhaps")], &["--config-file", &file]);
    assert_eq!(done.code, Some(FAILURE), "{done:#?}");
    assert_eq!(done.stdout, "");
    let expected = format!(
        "ipa-host: 4 values cannot be used:\n  \
         kernel line: ipa-api-url: api_url is \"ironic\"; allowed is an http:// or https:// URL, several between commas, \
         or mdns\n  \
         environment: OS_DEFAULT__ENABLE_AUTO_TLS: enable_auto_tls is \"perhaps\"; allowed is true or false (also 1, \
         on, yes and 0, off, no)\n  \
         kernel line: ipa-ip-lookup-attempts: ip_lookup_attempts is \"0\"; allowed is a whole number of at least 1\n  \
         {file}:2: [disk_utils]image_convert_attempts is \"many\"; allowed is a whole number of at least 1\n"
    );
    assert_eq!(done.stderr, expected);

    let flag = machine.config(&[], &["--listen-port", "x"]);
    assert_eq!(flag.code, Some(2));
    assert!(flag.stderr.contains("--listen-port") && flag.stderr.contains("from 0 to 65535"), "{flag:#?}");
}

#[test]
fn unknown_names_are_warned_about_with_the_nearest_one() {
    let machine = Machine::with_kernel_line("ipa-api-ulr=http://a vendor-word=1");
    let file = machine.write("typo.conf", "lookup-timeout = 5\n");
    let done = machine.config(&[], &["--json", "--config-file", &file, "--use-journal"]);
    assert_eq!(
        done.json()["warnings"],
        json!([
            format!("{file}:1: there is no option \"lookup-timeout\" in [DEFAULT]; did you mean lookup_timeout?"),
            "command line: --use-journal has no effect; this agent logs to standard error",
            "kernel line: ipa-api-ulr is no parameter of the agent; did you mean ipa-api-url?",
        ])
    );
    let table = machine.config(&[], &["--config-file", &file]);
    assert_eq!(table.code, Some(0));
    assert!(table.stderr.starts_with("warning: ") && table.stderr.contains("did you mean"), "{table:#?}");
}

/// Upstream has it so: as a flag with dashes, in files with underscores.
#[test]
fn the_one_option_with_dashes_is_a_flag_and_in_files_has_underscores() {
    let machine = Machine::with_kernel_line("");
    let guard = |arguments: &[&str]| {
        option(&machine.config(&[], &[&["--json"], arguments].concat()), "guard_special_filesystems").0
    };
    assert_eq!(guard(&[]), true);
    assert_eq!(guard(&["--noguard-special-filesystems"]), false);
    let underscored = machine.write("a.conf", "guard_special_filesystems = no\n");
    let dashed = machine.write("b.conf", "guard-special-filesystems = no\n");
    assert_eq!(guard(&["--config-file", &underscored]), false);
    assert_eq!(guard(&["--config-file", &underscored, "--guard-special-filesystems"]), true);
    assert_eq!(guard(&["--config-file", &dashed]), true);
}

#[test]
fn secrets_are_never_printed() {
    let machine = Machine::with_kernel_line("ipa-agent-token=s3cret-token");
    let file = machine.write("a.conf", "image_server_password = s3cret-password\n");
    for more in [&[][..], &["--json"], &["--debug"]] {
        let done = machine.config(&[], &[&["--config-file", &file], more].concat());
        assert_eq!(done.code, Some(0));
        assert!(done.stdout.contains("***"), "{done:#?}");
        assert!(!format!("{done:?}").contains("s3cret"), "{done:#?}");
    }
}

#[test]
fn every_flag_of_the_reference_is_accepted_in_upstreams_spelling() {
    let reference = ipa_host(&["config", "--reference", "--json"]).json();
    let rows = reference.as_array().expect("a list");
    assert!(rows.len() > 80);
    let mut flags = Vec::new();
    for row in rows {
        let Some(flag) = row["flag"].as_str() else { continue };
        let flag = format!("--{}", flag.trim_start_matches("--").replace('-', "_"));
        let allowed = row["allowed"].as_str().expect("a text");
        let value = if allowed.starts_with("true") {
            None
        } else if allowed.starts_with("one of") {
            allowed.rsplit(' ').next()
        } else if allowed.contains("URL") {
            Some("https://ironic")
        } else {
            Some("42")
        };
        flags.push(flag);
        flags.extend(value.map(str::to_owned));
    }
    let arguments: Vec<&str> = flags.iter().map(String::as_str).collect();
    let done = ipa_host(&[&["config", "--json"], arguments.as_slice()].concat());
    assert_eq!(done.code, Some(0), "{done:#?}");
    for row in rows.iter().filter(|row| !row["flag"].is_null() && row["name"] != "debug") {
        let name = row["name"].as_str().expect("a name");
        assert!(option(&done, name).1.starts_with("command line: --"), "{name}");
    }
}

#[test]
fn virtual_media_are_above_the_kernel_line_and_left_alone_unless_booted_from() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("left out: mounting needs root and loop devices");
        return;
    }
    let machine = Machine::with_kernel_line("boot_method=vmedia ipa-lookup-timeout=1 ipa-lookup-interval=2");
    machine.write("medium/parameters.txt", "ipa-lookup-timeout=60\n");
    machine.write("medium/etc/ironic-python-agent.d/ironic-tls.conf", "[DEFAULT]\ncafile = /ca\n");
    machine.insert_cd("ir-vfd-dev");
    let done = machine.config(&[], &["--json"]);
    assert_eq!(option(&done, "lookup_timeout"), (json!(60), "virtual media: ipa-lookup-timeout".to_owned()));
    assert_eq!(option(&done, "lookup_interval"), (json!(2), "kernel line: ipa-lookup-interval".to_owned()));
    assert!(!machine.path("etc/ironic-python-agent.d").exists(), "to look is not to copy");
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("Linux");
    assert!(!mounts.contains(&machine.path("").display().to_string()), "{mounts}");

    machine.write("proc/cmdline", "ipa-lookup-timeout=1\n");
    let done = machine.config(&[], &["--json"]);
    assert_eq!(option(&done, "lookup_timeout").0, 1);

    // A partition of the machine's own disk with that label is not believed.
    machine.write("proc/cmdline", "boot_method=vmedia ipa-lookup-timeout=1\n");
    machine.write("sys/class/block/sr0/partition", "1\n");
    assert_eq!(option(&machine.config(&[], &["--json"]), "lookup_timeout").0, 1);
}

#[test]
fn the_search_for_media_does_not_follow_a_hostile_tree() {
    let machine = Machine::with_kernel_line("boot_method=vmedia");
    std::fs::create_dir_all(machine.path("sys/class/block/loop")).expect("made");
    symlink("/dev/zero", machine.path("sys/class/block/loop/dev")).expect("linked");
    machine.write("sys/class/block/x!y/dev", "7:7");
    let done = machine.config(&[], &["--json"]);
    assert_eq!(done.code, Some(0), "{done:#?}");
}

#[tokio::test]
async fn a_running_agent_obeys_its_files_and_warns_in_its_log() {
    let plugins = PluginDir::new();
    let file = plugins.home().join("more.conf");
    std::fs::write(&file, "debug = true\nlisten_prot = 1\n").expect("written");
    let host = Host::with(plugins).flag("--config_file").flag(&file.display().to_string()).start();
    let warning = host.log_line(&["configuration:", "listen_prot"]);
    assert!(warning.contains("did you mean listen_port?") && warning.contains("more.conf:2"), "{warning}");
    let option = host.log_line(&[" DEBUG option debug", "source="]);
    assert!(option.contains("more.conf:1") && option.contains("value=true"), "{option}");
    let token = host.log_line(&[" DEBUG option agent_token", "source="]);
    assert!(!token.contains(TOKEN), "{token}");
    assert_eq!(host.client().get("/v1/status").await.status, 200);
    assert_eq!(host.terminate(), 0);
}

/// Other programs of a ramdisk mount the medium with the network's configuration and leave it so. While it is mounted the
/// BMC cannot eject it; a start that fails is no reason to keep it.
#[test]
fn a_medium_left_in_mnt_config_is_released_whatever_becomes_of_the_start() {
    if !rustix::process::geteuid().is_root() || !Path::new("/dev/loop-control").exists() {
        eprintln!("left out: mounting needs root and loop devices");
        return;
    }
    let machine = Machine::with_kernel_line("boot_method=vmedia");
    machine.write("medium/openstack/latest/network_data.json", "{}");
    machine.insert_cd("config-2");
    machine.write("left.sh", LEFT_MOUNTED);
    let ends_released = |why: &[&str]| {
        let script = machine.path("left.sh");
        let program = ["sh".as_ref(), script.as_os_str(), machine.root.path().as_os_str()];
        let mut host = Host::with(PluginDir::with_acme()).inside(&program).launch();
        host.ended(Duration::from_secs(60));
        assert!(host.has_logged(why), "{}", host.log());
        assert_eq!(host.stdout().trim(), format!("ended with {FAILURE}, released"), "{}", host.log());
    };
    ends_released(&["virtual media", "/dev/sr0", "insert it again"]);
    machine.write("proc/cmdline", "ipa-lookup-timeout=none\n");
    ends_released(&["ipa-lookup-timeout"]);
}
