//! `cargo xtask vm`: the agent's ramdisk in a virtual machine, for looking at it.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ipa_imagebuild::arch::Arch;
use ipa_imagebuild::failure::{Doing, Failure, Outcome};
use ipa_vm::{Acceleration, Archive, Boot, Bus, Disk, Firmware, Guest, Kernel, Machine, Nic};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use structopt::StructOpt;

use crate::http::Connection;
use crate::steps::duration;
use crate::{ramdisk, repo, tools};

/// The token of an agent that nobody but this machine reaches.
const TOKEN: &str = "only-for-this-virtual-machine-0123456789";
/// How often a booting agent is asked, and how soon Ctrl-C is heard.
const LOOK: u16 = 500;
const ANSWER: Duration = Duration::from_secs(3);
/// A boot that takes longer is worth a word.
const LONG: Duration = Duration::from_secs(300);

#[derive(Debug, StructOpt)]
pub(crate) struct Options {
    /// Boots with BIOS instead of UEFI.
    #[structopt(long, conflicts_with = "uefi")]
    bios: bool,
    /// Boots with UEFI, as without this.
    #[structopt(long)]
    uefi: bool,
    /// Debian's name of the architecture; this machine's by default.
    #[structopt(long)]
    arch: Option<String>,
    /// Memory in MiB.
    #[structopt(long, value_name = "MIB", default_value = "1024")]
    memory: u32,
    /// Boots this ISO image as a CD instead of kernel and ramdisk.
    #[structopt(
        long, value_name = "FILE", parse(from_os_str), conflicts_with_all = &["append", "kernel", "initramfs", "plugin"]
    )]
    iso: Option<PathBuf>,
    /// Adds words to the kernel line.
    #[structopt(long, value_name = "WORDS", default_value = "")]
    append: String,
    /// Boots this kernel instead of the one that `cargo xtask ramdisk` built.
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    kernel: Option<PathBuf>,
    /// Boots this ramdisk instead of the one that `cargo xtask ramdisk` built.
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    initramfs: Option<PathBuf>,
    /// Adds a plugin, on a second archive; repeatable.
    #[structopt(long, value_name = "FILE", number_of_values = 1, parse(from_os_str))]
    plugin: Vec<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Outcome {
    let arch = options.arch.as_deref().map_or_else(Arch::native, Arch::named)?;
    tools::ensure_qemu(arch)?;
    let directory = repo::target("vm");
    repo::fresh_directory(&directory)?;
    let boot = boot(options, arch, &directory)?;
    let machine = machine(options, arch)?;
    // Before the guest starts threads: they too are to leave these signals to us.
    let signals = signals()?;
    let guest = machine.power_on(&boot)?;
    println!("    booting; what it prints: tail -f {}", guest.console().file().display());
    watch(&guest, machine.agent_port(), &signals, options.iso.is_some())
}

/// A disk of every common kind and two interfaces, of which the second leads nowhere.
fn machine(options: &Options, arch: &'static Arch) -> Outcome<Machine> {
    let firmware = if options.uefi || !options.bios { Firmware::Uefi } else { Firmware::Bios };
    let disks = [
        Disk::empty(Bus::Virtio, 4096, "VIRTIO-0001"),
        Disk::empty(Bus::Nvme, 3072, "NVME-0001"),
        Disk::empty(Bus::Sata, 2048, "SATA-0001").wwn(0x5000_c500_1234_5678).rotational(),
    ];
    let machine = Machine::new("vm", firmware, options.memory)?.arch(arch).acceleration(Acceleration::IfPossible);
    let machine = disks.into_iter().try_fold(machine, Machine::disk)?;
    Ok(machine.nic(Nic::new("52:54:00:5a:01:01")).nic(Nic::new("52:54:00:5a:01:02").restricted()))
}

fn boot(options: &Options, arch: &Arch, directory: &Path) -> Outcome<Boot> {
    if let Some(image) = &options.iso {
        return Ok(Boot::Cd(image.clone()));
    }
    let built = |name: &str| ramdisk::place(arch).join(name);
    let kernel = options.kernel.clone().unwrap_or_else(|| built("ipa.kernel"));
    let initramfs = options.initramfs.clone().unwrap_or_else(|| built("ipa.initramfs"));
    let ours = options.kernel.is_none() || options.initramfs.is_none();
    if ours && !(kernel.is_file() && initramfs.is_file()) {
        println!("    building the ramdisk");
        ramdisk::run_for(arch)?;
    }
    let line = format!("console={} ipa-agent-token={TOKEN}", arch.serial);
    let kernel = Kernel::new(&kernel, &initramfs, &line);
    let mut kernel = kernel.append(&options.append);
    if !options.plugin.is_empty() {
        let segment = directory.join("plugins");
        plugins(&options.plugin)?.write(&segment)?;
        kernel = kernel.segment(&segment);
    }
    Ok(Boot::Kernel(kernel))
}

fn plugins(files: &[PathBuf]) -> Outcome<Archive> {
    files.iter().try_fold(Archive::default(), |archive, file| {
        let name = file.file_name().ok_or_else(|| Failure::new(format!("{} is no file", file.display())))?;
        archive.copy(&format!("usr/lib/ipa/plugins/{}", name.to_string_lossy()), file)
    })
}

/// Ctrl-C and the polite end, as something to wait for: a machine that is left by them is to be cleaned up.
fn signals() -> Outcome<SignalFd> {
    let set = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    set.thread_block().doing("blocking signals")?;
    SignalFd::new(&set).doing("waiting for signals")
}

/// Says when the agent answers, and returns when the machine goes off or a signal comes.
fn watch(guest: &Guest, port: u16, signals: &SignalFd, is_iso: bool) -> Outcome {
    let begin = Instant::now();
    let (mut answered, mut warned) = (false, false);
    loop {
        let mut fds = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        if poll(&mut fds, PollTimeout::from(LOOK)).doing("waiting for signals")? > 0 {
            return Ok(());
        }
        if !guest.is_on() {
            println!("    the machine is off");
            return Ok(());
        }
        if !answered && answers(port) {
            answered = true;
            print!("{}", guide(port, guest.console().file(), begin.elapsed(), is_iso));
        } else if !answered && !warned && begin.elapsed() > LONG {
            warned = true;
            println!("    the agent has not answered yet; Ctrl-C ends the machine");
        }
    }
}

fn answers(port: u16) -> bool {
    Connection::open(SocketAddr::from((Ipv4Addr::LOCALHOST, port)), ANSWER)
        .and_then(|mut connection| connection.get("/v1/status", ANSWER))
        .is_ok_and(|answer| answer.status == 200)
}

/// What a person can do with the running machine.
fn guide(port: u16, console: &Path, after: Duration, is_iso: bool) -> String {
    let url = format!("http://127.0.0.1:{port}");
    let token = if is_iso { "TOKEN" } else { TOKEN };
    let note = if is_iso { "\nTOKEN is ipa-agent-token of the kernel line in the ISO image.\n" } else { "\n" };
    format!(
        "\n\
        The agent answers {} after power on.\n\
        \n\
        Its status page, for a browser:\n  {url}/\n\
        Its state:\n  curl -s {url}/v1/status\n\
        The inventory:\n  curl -s '{url}/v1/commands/?wait=true&agent_token={token}' \
        -d '{{\"name\": \"poll.get_hardware_info\", \"params\": {{}}}}'\n\
        To switch it off:\n  curl -s '{url}/v1/commands/?agent_token={token}' \
        -d '{{\"name\": \"standby.power_off\", \"params\": {{}}}}'\n\
        The console:\n  tail -f {}\n\
        {note}\
        It knows no Ironic, its disks are empty, and all of it is gone when it goes off. Ctrl-C ends it.\n",
        duration(after),
        console.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_can_be_pasted() {
        let text = guide(40_123, Path::new("/x/console.log"), Duration::from_secs(75), false);
        assert!(text.contains("The agent answers 1 min 15 s after power on."), "{text}");
        assert!(text.contains(&format!(
            "curl -s 'http://127.0.0.1:40123/v1/commands/?wait=true&agent_token={TOKEN}' -d \
             '{{\"name\": \"poll.get_hardware_info\", \"params\": {{}}}}'"
        )));
        assert!(text.contains("tail -f /x/console.log"), "{text}");
        assert!(!text.contains(" TOKEN"), "{text}");
    }

    #[test]
    fn an_image_brings_its_own_kernel_line() {
        let parse = |words: &[&str]| Options::from_iter_safe([&["vm"], words].concat());
        assert!(parse(&["--iso", "a.iso", "--bios"]).is_ok());
        assert!(parse(&["--iso", "a.iso", "--append", "quiet"]).is_err());
        assert!(parse(&["--bios", "--uefi"]).is_err());
        assert!(parse(&["--arch", "arm64"]).is_ok());
    }
}
