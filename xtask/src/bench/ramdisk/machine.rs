//! One boot of a ramdisk in a virtual machine that is the same for both.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::Outcome;
use ipa_imagebuild::process;
use ipa_vm::{Boot, Bus, Disk, Firmware, Guest, HOST, Kernel, Machine, Nic};

use super::ironic::Ironic;

/// Longest time from power on to a heartbeat, on a busy machine.
const BOOT: Duration = Duration::from_secs(600);
/// After the heartbeat the rest has long happened.
const REST: Duration = Duration::from_secs(60);
/// Between two questions for the status.
const LOOK: Duration = Duration::from_millis(500);
/// Questions under way at once: packets to a guest that has no network yet are lost, and their question is too.
const ASKING: u32 = 8;

/// What one boot shows.
#[derive(Debug)]
pub(super) struct Boots {
    /// Seconds from power on to the first answer to `GET /v1/status`, as exact as half a second.
    pub(super) status_s: f64,
    /// Seconds from power on to the first heartbeat.
    pub(super) heartbeat_s: f64,
    /// Bytes of memory in use then.
    pub(super) memory_bytes: f64,
}

/// Boots with BIOS, two processors, one empty disk and one network.
pub(super) fn boot(name: &str, kernel: &Kernel, memory_mib: u32) -> Outcome<Boots> {
    let ironic = Ironic::start()?;
    let kernel = kernel.clone().append(&format!("ipa-api-url={}", ironic.url(HOST)));
    let machine = Machine::new(name, Firmware::Bios, memory_mib)?.balloon();
    let machine = machine.disk(Disk::empty(Bus::Virtio, 4096, "DISK-1"))?.nic(Nic::new("52:54:00:5a:02:01"));
    let begin = Instant::now();
    let guest = machine.power_on(&Boot::Kernel(kernel))?;
    let status = Questions::start(machine.agent_port());
    let heartbeat = first_heartbeat(&guest, &ironic)?;
    let memory = guest.used_memory(REST)?;
    let status = status.answered.recv_timeout(REST).map_err(|_| guest.failure("its agent does not tell its status"))?;
    let seconds = |at: Instant| at.duration_since(begin).as_secs_f64();
    Ok(Boots { status_s: seconds(status), heartbeat_s: seconds(heartbeat), memory_bytes: memory as f64 })
}

fn first_heartbeat(guest: &Guest, ironic: &Ironic) -> Outcome<Instant> {
    let end = Instant::now() + BOOT;
    loop {
        match ironic.heartbeat(LOOK) {
            Ok(at) => return Ok(at),
            Err(RecvTimeoutError::Timeout) if Instant::now() < end && guest.is_on() && !has_panicked(guest) => {}
            Err(_) => return Err(guest.failure("no heartbeat has come")),
        }
    }
}

fn has_panicked(guest: &Guest) -> bool {
    guest.console().text().contains("Kernel panic")
}

/// Those who ask for the status, again and again until one has an answer or this is dropped.
#[derive(Debug)]
struct Questions {
    answered: Receiver<Instant>,
    enough: Arc<AtomicBool>,
}

impl Questions {
    fn start(port: u16) -> Self {
        let (sender, answered) = mpsc::channel();
        let enough = Arc::new(AtomicBool::new(false));
        for turn in 0..ASKING {
            let (sender, enough) = (sender.clone(), enough.clone());
            thread::spawn(move || {
                thread::sleep(LOOK * turn);
                ask(port, &sender, &enough);
            });
        }
        Self { answered, enough }
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
    }
}

fn ask(port: u16, sender: &Sender<Instant>, enough: &AtomicBool) {
    let period = LOOK * ASKING;
    while !enough.load(Ordering::Relaxed) {
        let next = Instant::now() + period;
        // Both agents answer with a certificate that they made themselves.
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--fail", "--insecure", "--output", "/dev/null", "--max-time"]);
        curl.arg(period.as_secs().to_string()).arg(format!("https://127.0.0.1:{port}/v1/status"));
        if process::output(&mut curl, period * 2).is_ok() {
            enough.store(true, Ordering::Relaxed);
            // The boot may have failed meanwhile.
            let _ = sender.send(Instant::now());
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
}
