//! The program as PID 1 of a container of its own: supervision, signals, and the network with a real DHCP server.
//!
//! Needs root, as the namespaces do; nothing outside of them is touched.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(60);
const UNSHARE: &[&str] = &["--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/// A program in namespaces of its own; it ends with this value.
struct Container(Child);

impl Container {
    fn start(argv: &[&str]) -> Self {
        let child = Command::new("unshare").args(UNSHARE).args(argv).stdin(Stdio::null()).spawn();
        Self(child.expect("unshare is installed (package util-linux)"))
    }

    /// The number of its PID 1, seen from outside.
    fn first(&self) -> u32 {
        let list = format!("/proc/{0}/task/{0}/children", self.0.id());
        until(|| fs::read_to_string(&list).ok()?.trim().parse().ok())
    }

    /// Runs a program in its network.
    fn run(&self, argv: &[&str]) -> String {
        let net = format!("--net=/proc/{}/ns/net", self.first());
        let output = Command::new("nsenter").arg(net).args(argv).output().expect("nsenter is installed");
        assert!(output.status.success(), "{argv:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.first().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Something that has to become true without anybody telling.
fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "it never became true");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// PID 1 on trial, and its console.
struct Trial {
    container: Container,
    directory: TempDir,
    console: Receiver<String>,
    seen: Vec<String>,
}

impl Trial {
    fn start(line: &str, agent: &[&str], words: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("etc")).unwrap();
        fs::write(path("line"), line).unwrap();
        // The console is a pipe, so that every line is waited for.
        let console = terminal(&path("console"));
        symlink(env!("CARGO_BIN_EXE_ipa-init"), path("ipa-init-trial")).unwrap();
        // What programs keep in fixed places is gone with the container.
        let own = "mount -t tmpfs own /run && mount -t tmpfs own /var/lib && exec \"$@\"";
        let mut argv = ["sh", "-c", own, "sh"].map(str::to_owned).to_vec();
        argv.push(path("ipa-init-trial").display().to_string());
        argv.push(format!("root={}", directory.path().display()));
        argv.push(format!("line={}", path("line").display()));
        argv.push(format!("console={}", path("console").display()));
        argv.extend(agent.iter().map(|word| format!("agent={word}")));
        argv.extend(words.iter().map(|word| (*word).to_owned()));
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        Self { container: Container::start(&argv), directory, console, seen: Vec::new() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Waits for a line on the console that has this text.
    fn says(&mut self, text: &str) -> String {
        // For all of them: somebody may say something else for ever.
        let end = Instant::now() + DEADLINE;
        loop {
            let line = self.console.recv_timeout(end.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|_| panic!("never said {text:?}, but:\n{}", self.seen.join("\n")));
            self.seen.push(line.clone());
            // The line that tells how the agent is started has all of its script in it.
            if line.contains(text) && (text.contains("started") || !line.contains("agent: started")) {
                return line;
            }
        }
    }

    fn has_said(&self, text: &str) -> bool {
        self.seen.iter().any(|line| line.contains(text))
    }
}

fn shell(script: &str) -> [&str; 3] {
    ["/bin/sh", "-c", script]
}

#[test]
fn the_agent_is_started_again_until_the_machine_is_rescued() {
    let script = "echo one line; echo complaint >&2; printf unfinished; exit 7";
    let mut trial = Trial::start("ip=off", &shell(script), &["restart-ms=20"]);
    for _ in 0..3 {
        trial.says("agent: started /bin/sh -c");
        for line in ["one line", "complaint", "unfinished"] {
            assert_eq!(trial.says(line), line);
        }
        trial.says("agent: exited with status 7, it is started again in 0.02 s");
    }
    fs::write(trial.path("etc/.rescued"), "").unwrap();
    trial.says("rescue mode");
    let log = fs::read_to_string(trial.path("var/log/ironic-python-agent.log")).unwrap();
    assert!(log.starts_with("one line\ncomplaint\nunfinished\none line\n"), "{log}");
    let log = fs::read_to_string(trial.path("var/log/ipa-init.log")).unwrap();
    assert!(log.contains("started again") && !log.contains("\none line"), "{log}");
}

#[test]
fn orphans_are_reaped_and_the_agent_has_a_session_of_its_own() {
    // Both numbers are those of the container: the agent leads its session.
    let script = "read pid name state parent group session rest < /proc/self/stat; echo numbers $$ $session; grep SigBlk /proc/self/status; \
                  (sh -c 'exec sleep 0.01' &); (sh -c 'exec sleep 0.01' &); exec sleep 600";
    let mut trial = Trial::start("ip=off", &shell(script), &[]);
    let line = trial.says("numbers ");
    let numbers: Vec<&str> = line.split(' ').skip(1).collect();
    assert_eq!(numbers[0], numbers[1], "{line}");
    assert_eq!(trial.says("SigBlk"), "SigBlk:\t0000000000000000", "no signal is kept from it");
    let first = trial.container.first();
    until(|| {
        let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
        (children.split_whitespace().count() == 1).then_some(())
    });
}

#[test]
fn power_off_ends_the_agent_first() {
    let script = "trap 'echo goodbye; exit 0' TERM; echo ready; while :; do sleep 0.05; done";
    let mut trial = Trial::start("ip=off", &shell(script), &[]);
    trial.says("ready");
    trial.container.signal("USR2");
    trial.says("PowerOff was asked for");
    trial.says("goodbye");
    trial.says("agent: exited with status 0");
    trial.says("ending all programs");
    trial.says("PowerOff");
    // To the kernel the end of a container's first process is its power-off.
    assert!(!trial.container.0.wait().unwrap().success());
    assert!(!trial.has_said("started again"));
}

#[test]
fn an_agent_that_does_not_end_is_killed_at_a_reboot() {
    let mut trial = Trial::start("ip=off", &shell("trap '' TERM; echo ready; while :; do sleep 0.05; done"), &[]);
    trial.says("ready");
    trial.container.signal("TERM");
    trial.says("Reboot was asked for");
    trial.says("still there after 10 s, it is killed");
    trial.says("ending all programs");
    trial.container.0.wait().unwrap();
}

#[test]
fn a_udev_that_ends_again_and_again_is_given_up_and_holds_nobody() {
    let mut trial = Trial::start("ip=off", &shell("echo here; exec sleep 600"), &["udevd=/bin/false"]);
    trial.says("here");
    for pause in ["0.1", "0.5", "2", "5", "10"] {
        let text = format!("devices: udev exited with status 1 after 0 s, it is started again in {pause} s");
        if !trial.has_said(&text) {
            trial.says(&text);
        }
    }
    trial.says("it ends again and again and is given up");
}

#[test]
fn a_udev_that_ends_is_told_of_what_it_missed() {
    // It speaks as systemd's programs do.
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("udevd");
    fs::write(&script, "#!/bin/sh\nsystemd-notify --ready --status=here\nexec sleep 602\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut trial = Trial::start("ip=off", &shell("exec sleep 600"), &[&format!("udevd={}", script.display())]);
    trial.says("devices: udev started");
    let udevd = find_client(trial.container.first(), "602");
    Command::new("kill").args(["-s", "KILL", &udevd.to_string()]).status().unwrap();
    trial.says("devices: udev killed by signal 9 after ");
    trial.says("devices: udev is there again, it is told of what it missed");
}

/// A terminal that is there and shows what is written to it.
fn terminal(path: &Path) -> Receiver<String> {
    rustix::fs::mkfifoat(rustix::fs::CWD, path, rustix::fs::Mode::RWXU).unwrap();
    let reader = fs::File::options().read(true).write(true).open(path).unwrap();
    let (send, lines) = channel();
    std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map_while(Result::ok);
        lines.take_while(|line| send.send(line.clone()).is_ok()).for_each(drop);
    });
    lines
}

#[test]
fn consoles_that_come_later_are_told_everything() {
    let dev = tempfile::tempdir().unwrap();
    let active = dev.path().join("active");
    fs::write(&active, "").unwrap();
    let words = [format!("dev={}", dev.path().display()), format!("active={}", active.display())];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let script = "echo early; while :; do sleep 0.1; done";
    let mut trial = Trial::start("ip=off console=ttyA0 console=ttyS0", &shell(script), &words);
    trial.says("starts, consoles ttyA0 ttyS0");
    trial.says("early");
    // One of the kernel line, and one that the kernel takes into use by itself.
    fs::write(&active, "ttyS0 ttyB7\n").unwrap();
    for name in ["ttyA0", "ttyB7"] {
        let lines = terminal(&dev.path().join(name));
        trial.says(&format!("{name} is written to from now on"));
        for text in ["starts, consoles ttyA0 ttyS0", "early", &format!("{name} is written to")] {
            let end = Instant::now() + DEADLINE;
            while !lines.recv_timeout(end.saturating_duration_since(Instant::now())).unwrap().contains(text) {}
        }
    }
}

#[test]
fn without_a_network_the_agent_starts_in_the_end() {
    let mut trial = Trial::start("", &shell("echo here; exec sleep 600"), &["network-ms=100"]);
    trial.says("no network in time, the agent starts without: there is no NIC");
    trial.says("here");
}

#[test]
fn words_that_make_no_sense_are_told() {
    let mut trial = Trial::start("ip=192.0.2.700::::::none BOOTIF=x", &shell("exec sleep 600"), &["network-ms=100"]);
    trial.says("ip=192.0.2.700::::::none: no address 192.0.2.700, the word is left out");
    trial.says("BOOTIF=x: not 01-aa-bb-cc-dd-ee-ff, the word is left out");
    trial.says("agent: started");
}

/// A network with a DHCP server, and one end of a cable to plug in somewhere.
struct Lan {
    container: Container,
    directory: TempDir,
    server: Child,
}

impl Lan {
    /// With a server whose command line `server` makes, given a directory of its own.
    fn new(address: &str, server: impl FnOnce(&Path) -> Vec<String>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let container = Container::start(&["sleep", "600"]);
        container.run(&["ip", "link", "add", "srv", "type", "veth", "peer", "name", "nic0"]);
        container.run(&["ip", "addr", "add", address, "dev", "srv"]);
        container.run(&["ip", "link", "set", "srv", "up"]);
        container.run(&["ip", "link", "set", "lo", "up"]);
        let net = format!("--net=/proc/{}/ns/net", container.first());
        let server = Command::new("nsenter")
            .arg(net)
            .args(server(directory.path()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nsenter is installed (package util-linux)");
        Self { container, directory, server }
    }

    /// With a DHCP server of IPv4: busybox's, of the package busybox-static.
    fn start() -> Self {
        Self::new("192.0.2.1/24", |directory| {
            let file = |name: &str| directory.join(name).display().to_string();
            let conf = format!(
                "start 192.0.2.100\nend 192.0.2.109\ninterface srv\nlease_file {}\npidfile {}\n\
                 opt subnet 255.255.255.0\nopt router 192.0.2.1\nopt dns 192.0.2.53 192.0.2.54\nopt domain example\n\
                 opt lease 600\nopt mtu 1400\nopt ntpsrv 192.0.2.1\n\
                 opt staticroutes 10.9.0.0/16 192.0.2.254, 0.0.0.0/0 192.0.2.2\n",
                file("leases"),
                file("pid")
            );
            fs::write(directory.join("udhcpd.conf"), conf).unwrap();
            fs::write(directory.join("leases"), "").unwrap();
            ["busybox", "udhcpd", "-f", &file("udhcpd.conf")].map(str::to_owned).to_vec()
        })
    }

    /// With a router that gives addresses by DHCPv6 alone. It knows one machine by its MAC address.
    fn start_v6(mac: &str, address: &str) -> Self {
        Self::start_router(&format!(
            "ra-param=srv,4\ndhcp-range=2001:db8::100,2001:db8::1ff,64,600\ndhcp-host={mac},[{address}]\n"
        ))
    }

    /// With a router that knows DHCPv6: dnsmasq, of the package dnsmasq-base.
    fn start_router(conf: &str) -> Self {
        let lan = Self::new("2001:db8::1/64", |directory| {
            let file = |name: &str| directory.join(name).display().to_string();
            let conf = format!(
                "keep-in-foreground\nport=0\nuser=root\ninterface=srv\nenable-ra\n{conf}\
                 dhcp-option=option6:dns-server,[2001:db8::53]\ndhcp-option=option6:domain-search,example\n\
                 dhcp-option=option6:ntp-server,[2001:db8::1]\ndhcp-option=option6:sntp-server,[2001:db8::2]\n\
                 dhcp-leasefile={}\npid-file={}\n",
                file("leases"),
                file("pid")
            );
            fs::write(directory.join("dnsmasq.conf"), conf).unwrap();
            vec!["dnsmasq".to_owned(), format!("--conf-file={}", file("dnsmasq.conf"))]
        });
        // What does not say that it forwards is soon taken for no router any more.
        let set = "cd /proc/sys/net/ipv6/conf && echo 1 > all/forwarding && echo 1 > all/keep_addr_on_down";
        lan.container.run(&["sh", "-c", set]);
        lan
    }

    /// Starts a time server at its address: chrony, of the package chrony, which does not touch this machine's clock. It is
    /// asked by the program that the agent knows.
    fn start_clock(&self, address: &str) -> Clock {
        let directory = self.directory.path();
        let (conf, pid) = (directory.join("chrony.conf"), directory.join("chrony.pid"));
        let text = format!("local stratum 3\nallow\ncmdport 0\nbindcmdaddress /\npidfile {}\n", pid.display());
        fs::write(&conf, text).unwrap();
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.container.first()));
        command.args(["chronyd", "-x", "-n", "-u", "root", "-f"]).arg(conf).stdout(Stdio::null()).stderr(Stdio::null());
        let clock = Clock(command.spawn().expect("nsenter is installed (package util-linux)"));
        // Until it answers.
        let ntpdate = directory.join("ntpdate");
        symlink(env!("CARGO_BIN_EXE_ipa-init"), &ntpdate).unwrap();
        let said = self.container.run(&[&ntpdate.display().to_string(), address]);
        assert!(said.starts_with(&format!("ntpdate: {address} (stratum 3) is at ")), "{said}");
        assert!(said.ends_with(" s, clock kept\n"), "{said}");
        clock
    }

    fn plug_into(&self, trial: &Trial) {
        self.container.run(&["ip", "link", "set", "nic0", "netns", &trial.container.first().to_string()]);
    }
}

impl Drop for Lan {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A time server.
struct Clock(Child);

impl Drop for Clock {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_nic_that_comes_later_gets_a_lease() {
    let lan = Lan::start();
    let mut trial = Trial::start("", &shell("echo here; exec sleep 600"), &[]);
    trial.says("starts, consoles");
    lan.plug_into(&trial);
    trial.says("NIC nic0");
    let bound = trial.says("by DHCP from 192.0.2.1 for 600 s, 10.9.0.0/16 via 192.0.2.254, 0.0.0.0/0 via 192.0.2.2");
    trial.says("clock: asking 192.0.2.1");
    // A clock that can be right holds nobody.
    trial.says("here");
    assert!(!trial.has_said("stratum"));
    assert!(bound.contains("192.0.2.10"), "{bound}");
    let link = trial.container.run(&["ip", "addr", "show", "nic0"]);
    assert!(link.contains("inet 192.0.2.10") && link.contains("mtu 1400"), "{link}");
    let routes = trial.container.run(&["ip", "route"]);
    assert!(routes.contains("default via 192.0.2.2 dev nic0 metric 201"), "{routes}");
    assert!(routes.contains("10.9.0.0/16 via 192.0.2.254 dev nic0 metric 201"), "{routes}");
    assert_eq!(
        fs::read_to_string(trial.path("etc/resolv.conf")).unwrap(),
        "search example\nnameserver 192.0.2.53\nnameserver 192.0.2.54\n"
    );
    // Nobody answered yet.
    let _clock = lan.start_clock("192.0.2.1");
    let time = trial.says("clock: 192.0.2.1 (stratum 3) is at ");
    assert!(time.ends_with(" s, it is kept"), "{time}");
    // The client runs on, is started again when it ends, and the address stays.
    let client = find_client(trial.container.first(), "udhcpc");
    Command::new("kill").args(["-s", "KILL", &client.to_string()]).status().unwrap();
    trial.says("DHCP client V4 of link");
    until(|| Some(find_client(trial.container.first(), "udhcpc")).filter(|again| *again != client));
    assert!(trial.container.run(&["ip", "addr", "show", "nic0"]).contains("inet 192.0.2.10"));
}

/// When a line of the first process was said, in seconds since the machine started.
fn time(line: &str) -> f64 {
    let time = line.strip_prefix('[').and_then(|rest| rest.split_once(']')).expect("a line of the first process").0;
    time.trim().parse().unwrap()
}

#[test]
fn with_a_clock_that_cannot_be_right_the_agent_waits_for_the_time_a_moment() {
    let lan = Lan::start();
    // Nobody tells.
    let mut trial = Trial::start("", &shell("echo here; exec sleep 600"), &["clock=wrong"]);
    lan.plug_into(&trial);
    let asked = time(&trial.says("clock: asking 192.0.2.1"));
    let started = time(&trial.says("agent: started"));
    assert!((1.5..10.0).contains(&(started - asked)), "{}", started - asked);
    trial.says("clock: no time server is of use, it is kept: 192.0.2.1: no answer");
    drop(trial);
    // Somebody does.
    let lan = Lan::start();
    let _clock = lan.start_clock("192.0.2.1");
    let mut trial = Trial::start("", &shell("echo here; exec sleep 600"), &["clock=wrong"]);
    lan.plug_into(&trial);
    trial.says("clock: 192.0.2.1 (stratum 3) is at ");
    assert!(!trial.has_said("agent: started"));
    trial.says("agent: started");
}

#[test]
fn a_router_sends_a_nic_to_a_dhcpv6_server() {
    let mac = "52:54:00:aa:bb:01";
    let lan = Lan::start_v6(mac, "2001:db8::7");
    lan.container.run(&["ip", "link", "set", "nic0", "address", mac]);
    let mut trial = Trial::start("", &shell("echo here; exec sleep 600"), &[]);
    trial.says("starts, consoles");
    lan.plug_into(&trial);
    trial.says("nic0 asks for an IPv6 address (dhcpcd)");
    trial.says("nic0 has 2001:db8::7/128 by DHCPv6 for 600 s");
    trial.says("here");
    let show = ["ip", "-6", "addr", "show", "nic0", "scope", "global"];
    let link = trial.container.run(&show);
    // The kernel knows when the address is over, whatever becomes of the client.
    assert!(link.contains("inet6 2001:db8::7/128 scope global dynamic"), "{link}");
    assert_eq!(link.matches("inet6").count(), 1, "{link}");
    let routes = trial.container.run(&["ip", "-6", "route"]);
    assert!(routes.contains("default via fe80::") && routes.contains("2001:db8::/64 dev nic0"), "{routes}");
    let resolv_conf = trial.path("etc/resolv.conf");
    assert_eq!(fs::read_to_string(&resolv_conf).unwrap(), "search example\nnameserver 2001:db8::53\n");
    trial.container.run(&["busybox", "ping", "-6", "-c", "1", "-W", "10", "2001:db8::1"]);
    // Unplugged, the client takes the address away.
    lan.container.run(&["ip", "link", "set", "srv", "down"]);
    trial.says("nic0: the lease of 2001:db8::7/128 is over");
    until(|| (!trial.container.run(&show).contains("inet6")).then_some(()));
    // The router told the same server for names, but no domain.
    until(|| (fs::read_to_string(&resolv_conf).ok()? == "nameserver 2001:db8::53\n").then_some(()));
    lan.container.run(&["ip", "link", "set", "srv", "up"]);
    trial.says("nic0 has 2001:db8::7/128 by DHCPv6");
    // A client that ends is started again, and the address stays meanwhile. Asked to end just after it got an address, it
    // does not always do so.
    let client = find_client(trial.container.first(), "dhcpcd: nic0");
    Command::new("kill").args(["-s", "KILL", &client.to_string()]).status().unwrap();
    trial.says("DHCP client V6 of link");
    let link = trial.container.run(&show);
    assert!(link.contains("inet6 2001:db8::7/128 scope global dynamic"), "{link}");
    trial.says("nic0 asks for an IPv6 address (dhcpcd)");
    until(|| Some(find_client(trial.container.first(), "dhcpcd")).filter(|again| *again != client));
}

#[test]
fn a_router_sends_a_nic_to_a_server_for_all_but_addresses() {
    let lan = Lan::start_router("dhcp-range=2001:db8::,ra-stateless\n");
    let mut trial = Trial::start("", &shell("echo here; exec sleep 600"), &[]);
    trial.says("starts, consoles");
    lan.plug_into(&trial);
    trial.says("nic0 asks for what is known besides addresses (dhcpcd)");
    let _clock = lan.start_clock("2001:db8::1");
    let services = "nic0 was told by DHCPv6: DNS 2001:db8::53, search example, NTP 2001:db8::1 2001:db8::2";
    trial.says(services);
    trial.says("clock: asking 2001:db8::1 2001:db8::2");
    trial.says("clock: 2001:db8::1 (stratum 3) is at ");
    trial.says("here");
    let resolv_conf = trial.path("etc/resolv.conf");
    let told = "search example\nnameserver 2001:db8::53\n";
    assert_eq!(fs::read_to_string(&resolv_conf).unwrap(), told);
    // The address is the kernel's own, and nobody asked for another one.
    let show = ["ip", "-6", "addr", "show", "nic0", "scope", "global"];
    let link = trial.container.run(&show);
    assert!(link.contains("inet6 2001:db8::") && link.contains("mngtmpaddr"), "{link}");
    assert_eq!(link.matches("inet6").count(), 1, "{link}");
    // Plugged into something else, it asks again.
    lan.container.run(&["ip", "link", "set", "srv", "down"]);
    until(|| (!fs::read_to_string(&resolv_conf).ok()?.contains("example")).then_some(()));
    lan.container.run(&["ip", "link", "set", "srv", "up"]);
    trial.says(services);
    let client = find_client(trial.container.first(), "dhcpcd: nic0");
    Command::new("kill").args(["-s", "KILL", &client.to_string()]).status().unwrap();
    trial.says("DHCP client Information of link");
    trial.says("nic0 asks for what is known besides addresses (dhcpcd)");
    until(|| (fs::read_to_string(&resolv_conf).ok()? == told).then_some(()));
}

fn find_client(first: u32, name: &str) -> u32 {
    let list = format!("/proc/{first}/task/{first}/children");
    let is_client =
        |pid: &u32| fs::read_to_string(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.contains(name));
    until(|| fs::read_to_string(&list).ok()?.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_client))
}

#[test]
fn a_fixed_address_of_the_kernel_line() {
    let lan = Lan::start();
    let line = "ip=192.0.2.9::192.0.2.1:255.255.255.0:node:nic0:none:192.0.2.53 ip=[fd00::9]::[fe80::1]:64::nic0:none";
    let mut trial = Trial::start(line, &shell("echo here; exec sleep 600"), &[]);
    lan.plug_into(&trial);
    trial.says("nic0 is configured");
    trial.says("here");
    assert!(!trial.has_said("udhcpc"));
    let link = trial.container.run(&["ip", "addr", "show", "nic0"]);
    assert!(link.contains("inet 192.0.2.9/24") && link.contains("inet6 fd00::9/64"), "{link}");
    assert!(trial.container.run(&["ip", "route"]).contains("default via 192.0.2.1 dev nic0 metric 50"));
    assert!(trial.container.run(&["ip", "-6", "route"]).contains("default via fe80::1 dev nic0 metric 50"));
    assert_eq!(fs::read_to_string(trial.path("etc/resolv.conf")).unwrap(), "nameserver 192.0.2.53\n");
}

#[test]
fn it_is_nothing_for_a_running_system() {
    for words in [&[][..], &["session"], &["medium-x"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_ipa-init")).args(words).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{words:?}");
        assert!(String::from_utf8_lossy(&output.stderr).starts_with("ipa-init: "));
    }
    // Without PID 1 there is no trial either.
    let directory = tempfile::tempdir().unwrap();
    let link = directory.path().join("ipa-init-trial");
    symlink(env!("CARGO_BIN_EXE_ipa-init"), &link).unwrap();
    assert_eq!(Command::new(&link).output().unwrap().status.code(), Some(1));
    assert!(!Path::new("/run/ipa-init").exists());
}
