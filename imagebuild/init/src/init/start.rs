//! The start of the machine, up to the main loop.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Instant;

use rustix::fs::inotify;

use super::consoles::Watch;
use super::time::Clock;
use super::udev::Udev;
use super::{Init, RUN, Settings};
use crate::clock::Plausible;
use crate::console::Log;
use crate::kernel_line::KernelLine;
use crate::log_file::LogFile;
use crate::network::netlink::Netlink;
use crate::network::{Event, Network, kernel, lease, resolver};
use crate::signals::Signals;
use crate::supervise::Agent;
use crate::{devices, login, medium, mounts, power};

const PROGRAM: &str = "/usr/bin/ipa-init";
/// Links to this program by which a machine is taken down.
const POWER_PROGRAMS: &[&str] = &["/usr/sbin/poweroff", "/usr/sbin/reboot", "/usr/sbin/halt"];
/// Link to this program by which the agent sets the clock.
const NTPDATE: &str = "/usr/sbin/ntpdate";
/// What the machine is called until somebody says otherwise.
const HOSTNAME: &str = "ipa";

impl Init {
    /// Mounts, consoles, clock, udev, and the network's first orders.
    pub(super) fn start(settings: Settings, signals: Signals) -> Self {
        let mounted = if settings.owns_machine { mounts::all() } else { Vec::new() };
        let line = KernelLine::read(&settings.line);
        let (watch, consoles) = if settings.nodes.as_os_str().is_empty() {
            (Watch::default(), Vec::new())
        } else {
            let watch = Watch::new(&settings.active, &settings.nodes);
            let names = watch.names(&line);
            (watch, names)
        };
        let mut log = Log::new(&settings.root.join("var/log/ipa-init.log"));
        log.add(settings.consoles.iter().cloned().chain(consoles.iter().map(|name| settings.nodes.join(name))));
        log.reopen();
        log.say(format_args!("{} starts, consoles {}", env!("CARGO_PKG_VERSION"), consoles.join(" ")));
        mounted.into_iter().for_each(|line| log.say(line));
        let run = settings.root.join(RUN);
        if let Err(error) = fs::DirBuilder::new().recursive(true).mode(0o700).create(&run) {
            log.say(format_args!("{}: {error}", run.display()));
        }
        let wanted = kernel::read(&line);
        let program = if settings.owns_machine { PROGRAM.into() } else { std::env::current_exe().unwrap_or_default() };
        let plausible = Plausible::of_ramdisk(&program);
        let mut init = Self {
            network: Network::new(wanted.boot_nic),
            network_deadline: Instant::now() + settings.network,
            agent_log: LogFile::new(&settings.root.join("var/log/ironic-python-agent.log")),
            asked: login::asked(&line, &settings.root),
            udev: Udev::default(),
            clock: Clock::new(plausible, settings.doubts_clock, wanted.time_servers.clone()),
            settings,
            line,
            log,
            consoles,
            watch,
            signals,
            netlink: None,
            dhcp: None,
            rescue: None,
            unnamed: std::collections::BTreeMap::new(),
            children: std::collections::BTreeMap::new(),
            later: Vec::new(),
            agent: Agent::default(),
            agent_started: false,
            half_ready: None,
            medium: None,
            sshd: None,
            sshd_takes_passwords: false,
            rescued_with: None,
            stopping: None,
        };
        if init.settings.owns_machine {
            init.machine();
        }
        if init.settings.udevd.is_some() {
            init.prepare_udev();
        }
        init.prepare_network(wanted);
        init.prepare_logins();
        init
    }

    /// What only the owner of a machine does.
    fn machine(&mut self) {
        power::take_over_keys();
        for link in POWER_PROGRAMS {
            // busybox has programs of these names that signal the same way; ours tell when nobody listens.
            let _ = fs::remove_file(link);
            let _ = symlink(PROGRAM, link);
        }
        let (is_true, said) = self.clock.plausible.check();
        self.clock.is_doubted |= !is_true;
        self.log.say(said);
        // Only where there is no other program of this name.
        let _ = symlink(PROGRAM, NTPDATE);
        if let Err(error) = devices::set_module_options() {
            self.log.say(format_args!("modules: their options cannot be set: {error}"));
        }
        self.load_modules();
    }

    fn prepare_network(&mut self, wanted: kernel::Wanted) {
        let name = fs::read_to_string("/etc/hostname").unwrap_or_default();
        let name =
            Some(name.trim()).filter(|name| crate::network::address::is_host(name)).unwrap_or(HOSTNAME).to_owned();
        self.set_hostname(&name);
        if let Err(error) = self.listen() {
            self.log.say(format_args!("network: {error}"));
        }
        wanted.complaints.iter().for_each(|why| self.log.say(format_args!("network: {why}")));
        self.act(crate::network::Action::Ip(["link", "set", "lo", "up"].map(str::to_owned).to_vec()));
        if !wanted.is_explicit && self.settings.owns_machine && medium::is_expected(&self.line) {
            self.search_medium(wanted.config);
        } else {
            self.event(Event::Wanted(wanted.config));
        }
    }

    fn listen(&mut self) -> Result<(), String> {
        let told = |what: &str, error: io::Error| format!("{what}: {error}");
        let (handler, socket) = (self.path(RUN).join(lease::HANDLER), self.path(RUN).join(lease::SOCKET));
        let program = std::env::current_exe().unwrap_or_else(|_| PROGRAM.into());
        symlink(program, &handler).map_err(|error| told("the handler of DHCP clients", error))?;
        let socket = UnixDatagram::bind(socket).map_err(|error| told("the socket for DHCP clients", error))?;
        socket.set_nonblocking(true).map_err(|error| told("the socket for DHCP clients", error))?;
        self.dhcp = Some(socket);
        self.netlink = Some(Netlink::open().map_err(|error| told("netlink", error))?);
        Ok(())
    }

    pub(super) fn set_hostname(&mut self, name: &str) {
        if !self.settings.owns_machine {
            return;
        }
        let set = rustix::system::sethostname(name.as_bytes());
        let written = fs::write("/etc/hosts", resolver::hosts(name));
        match (set, written) {
            (Ok(()), Ok(())) => self.log.say(format_args!("the machine's name is {name}")),
            (Err(error), _) => self.log.say(format_args!("the machine's name cannot be set to {name}: {error}")),
            (_, Err(error)) => self.log.say(format_args!("/etc/hosts: {error}")),
        }
    }
}

/// Watches for the rescue password.
pub(super) fn watch(directory: &Path) -> io::Result<OwnedFd> {
    // The agent cannot write it without its directory.
    fs::create_dir_all(directory)?;
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&watch, directory, inotify::WatchFlags::MOVED_TO | inotify::WatchFlags::CLOSE_WRITE)?;
    Ok(watch)
}

/// True if something happened where we watch.
pub(super) fn drain(watch: &OwnedFd) -> bool {
    let mut buffer = [0; 4096];
    let mut happened = false;
    while rustix::io::read(watch, &mut buffer).is_ok_and(|length| length > 0) {
        happened = true;
    }
    happened
}
