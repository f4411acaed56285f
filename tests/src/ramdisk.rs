//! The agent's ramdisk in guests of QEMU.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipa_vm::{Boot, Guest, Kernel, Machine};
use tokio::time::sleep;

use crate::Client;

/// Names the directory with the ramdisk's files.
const PLACE: &str = "IPA_RAMDISK";
/// The agent's token in guests that know no Ironic.
pub const TOKEN: &str = "tests-only-0123456789abcdef0123456789";
/// Longest time from power on to the agent's first answer, and from a request to poweroff to its effect.
pub const BOOT: Duration = Duration::from_secs(240);
/// Between two looks whether the agent answers.
const LOOK: Duration = Duration::from_millis(500);

/// The directory of the ramdisk that is tested.
///
/// # Panics
/// The environment does not name it.
fn place() -> PathBuf {
    let place = std::env::var_os(PLACE);
    place
        .unwrap_or_else(|| panic!("{PLACE} must name the directory of the ramdisk; `cargo xtask test` makes one"))
        .into()
}

/// The kernel's file.
pub fn kernel_file() -> PathBuf {
    existing(place().join("ipa.kernel"))
}

/// The archive's file.
pub fn initramfs_file() -> PathBuf {
    existing(place().join("ipa.initramfs"))
}

/// The ramdisk, with words for its kernel line besides those for the console.
pub fn kernel(words: &str) -> Kernel {
    Kernel::new(&kernel_file(), &initramfs_file(), &format!("console=ttyS0 {words}"))
}

/// The right to run guests. One test at a time has it: a guest takes all processors of a small machine.
#[derive(Debug)]
pub struct Turn {
    _held: MutexGuard<'static, ()>,
}

impl Turn {
    /// Waits for it.
    pub fn take() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        Self { _held: TURN.lock().unwrap_or_else(PoisonError::into_inner) }
    }
}

/// A guest with an agent that knows no Ironic, and a client of it.
#[derive(Debug)]
pub struct Booted {
    /// The guest.
    pub guest: Guest,
    /// A client of its agent over plain HTTP, with [`TOKEN`].
    pub client: Client,
    _turn: Turn,
}

impl Booted {
    /// Boots and returns at once.
    ///
    /// # Panics
    /// QEMU does not start.
    pub fn start(machine: &Machine, boot: &Boot) -> Self {
        let turn = Turn::take();
        let guest = machine.power_on(boot).unwrap_or_else(|failure| panic!("{failure}"));
        let client = Client::new(&guest.agent("http"), TOKEN);
        Self { guest, client, _turn: turn }
    }

    /// Waits until the agent answers, and says how long it took.
    ///
    /// # Panics
    /// It does not within [`BOOT`], or the guest has gone off or panics; with the last lines of the console.
    pub async fn answers(&self) -> Duration {
        let begin = Instant::now();
        while !self.client.is_answered("/v1/status").await {
            let left = BOOT.saturating_sub(begin.elapsed());
            if left.is_zero() || !self.guest.is_on() || self.guest.console().text().contains("Kernel panic") {
                let after = begin.elapsed().as_secs();
                panic!("{}", self.guest.failure(&format!("its agent does not answer after {after} s")));
            }
            sleep(LOOK).await;
        }
        begin.elapsed()
    }

    /// Waits for a line of the console, as [`Guest::line`].
    ///
    /// # Panics
    /// There is none within [`BOOT`].
    pub fn line(&self, words: &[&str]) -> String {
        self.guest.line(words, BOOT).unwrap_or_else(|failure| panic!("{failure}"))
    }
}

fn existing(path: PathBuf) -> PathBuf {
    assert!(path.is_file(), "{} is not there; `cargo xtask ramdisk` makes it", path.display());
    path
}

/// Where a plugin file has its place in the ramdisk.
pub fn plugin_path(file: &Path) -> String {
    let name = file.file_name().unwrap_or_else(|| panic!("{} is no file", file.display()));
    format!("usr/lib/ipa/plugins/{}", name.to_string_lossy())
}
