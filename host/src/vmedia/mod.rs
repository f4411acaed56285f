//! Virtual media: what Ironic gives a machine through its BMC when there is no DHCP to tell it.
//!
//! A machine that was booted so has `boot_method=vmedia` on its kernel line; no other looks for media at all. There may
//! be a floppy `ir-vfd-dev` with `parameters.txt`, whose words are above those of the kernel line, and a CD `config-2` or
//! `vmedia_boot_iso` with configuration files, which are copied to `/etc`, and with plugins, which are trusted as those are. Anyone can plug a disk with such a label into
//! a machine, so only what looks like a BMC's drive is taken: a CD drive, or a small disk behind USB.

mod copy;
mod device;
mod label;
mod mounts;
mod plugins;

use std::collections::BTreeMap;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::time::{sleep, timeout};

pub use self::copy::CopyError;
use self::device::Device;
pub use self::mounts::Mounter;
use self::mounts::Mounts;
use crate::config::kernel_line;
use crate::process::ProcessError;

/// The label of the floppy with the parameters.
const PARAMETER_LABELS: &[&str] = &["ir-vfd-dev"];
/// Labels of the CD with the configuration.
const CONFIG_LABELS: &[&str] = &["config-2", "vmedia_boot_iso"];
/// How a BMC's drive may call itself, in lower case.
const MODEL: &str = "virtual media";
/// The file with the parameters.
const PARAMETERS: &str = "parameters.txt";
/// The most that is read of it, in bytes.
const PARAMETERS_LIMIT: u64 = 64 * 1024;
/// Where media are mounted, below the root.
const MOUNT_POINTS: &str = "run/ipa-host";
/// Where other programs of a ramdisk mount the configuration, and leave it.
const FOREIGN_MOUNT_POINT: &str = "mnt/config";
/// Time to read or copy what is on a medium.
const COPY_DEADLINE: Duration = Duration::from_secs(60);
/// Tries to unmount; a scanner may have a file open for a moment.
const UNMOUNT_ATTEMPTS: u32 = 3;
/// Time between them.
const UNMOUNT_PAUSE: Duration = Duration::from_secs(1);
/// Most mounts, one over the other, that are taken off `/mnt/config`.
const MOST_FOREIGN_MOUNTS: usize = 16;

/// Virtual media that should hold what the agent needs, and cannot be used. The agent ends, to be started anew.
#[derive(Debug, Error)]
pub enum VirtualMediaError {
    /// There is no directory to mount on.
    #[error("virtual media: {path}: cannot make a directory to mount on: {source}")]
    MountPoint {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A device cannot be mounted.
    #[error("virtual media {device}: {source}; eject and insert it again with the BMC")]
    Mount {
        /// The device node.
        device: PathBuf,
        /// Why.
        source: ProcessError,
    },
    /// What is on a device cannot be read.
    #[error("virtual media {device}: {source}; eject and insert it again with the BMC")]
    Read {
        /// The device node.
        device: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The configuration on a device cannot be taken over.
    #[error("virtual media {device}: the configuration on it cannot be copied: {source}")]
    Copy {
        /// The device node.
        device: PathBuf,
        /// Why.
        source: CopyError,
    },
    /// A device does not answer.
    #[error("virtual media {device}: reading it took more than {} s; check the BMC's connection", COPY_DEADLINE.as_secs())]
    Slow {
        /// The device node.
        device: PathBuf,
    },
}

/// True if the kernel line says that the machine was booted from virtual media.
pub fn is_booted_from(kernel: &BTreeMap<String, String>) -> bool {
    kernel.get("boot_method").is_some_and(|method| method == "vmedia")
}

/// The media of a machine.
pub struct VirtualMedia<'a> {
    root: &'a Path,
    mounter: &'a dyn Mounter,
    notes: Vec<String>,
}

impl std::fmt::Debug for VirtualMedia<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualMedia").field("root", &self.root).field("notes", &self.notes).finish_non_exhaustive()
    }
}

impl<'a> VirtualMedia<'a> {
    /// Those of the machine whose `/` is `root`.
    pub fn new(root: &'a Path, mounter: &'a dyn Mounter) -> Self {
        Self { root, mounter, notes: Vec::new() }
    }

    /// What was seen and done, for the log; secrets are not part of it.
    pub fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// The parameters on the floppy; none if there is no floppy.
    ///
    /// # Errors
    /// There is one, by its label, that cannot be read.
    pub async fn parameters(&mut self) -> Result<BTreeMap<String, String>, VirtualMediaError> {
        if let Some(device) = self.find_by_label(PARAMETER_LABELS).await {
            return self.parameters_on(&device).await;
        }
        let Some(device) = self.find_by_model().await else { return Ok(BTreeMap::new()) };
        // By its model it may as well be the CD that was booted from.
        let read = self.parameters_on(&device).await;
        Ok(read.unwrap_or_else(|error| {
            self.notes.push(format!("{error} (no parameters are read from it)"));
            BTreeMap::new()
        }))
    }

    /// Copies the configuration on the CD to `/etc`.
    ///
    /// # Errors
    /// There is one that cannot be read or copied.
    pub async fn copy_configuration(&mut self) -> Result<(), VirtualMediaError> {
        let Some(device) = self.find_by_label(CONFIG_LABELS).await else { return Ok(()) };
        let root = self.root.to_owned();
        let copied = self.on_medium(&device, move |medium| copy::configuration(medium, &root)).await?;
        let notes = copied.map_err(|source| VirtualMediaError::Copy { device: device.node.clone(), source })?;
        self.notes.extend(notes.into_iter().map(|note| format!("{}: {note}", device.name)));
        Ok(())
    }

    /// Unmounts `/mnt/config` if other programs left a medium there, so that it can be ejected.
    pub async fn release(&mut self) {
        let directory = self.root.join(FOREIGN_MOUNT_POINT);
        for _ in 0..MOST_FOREIGN_MOUNTS {
            if !Mounts::read(self.root).has(&Path::new("/").join(FOREIGN_MOUNT_POINT)) {
                return;
            }
            if !self.unmount(&directory).await {
                return;
            }
            self.notes.push(format!("unmounted {}", directory.display()));
        }
    }

    async fn find_by_label(&mut self, labels: &[&str]) -> Option<Device> {
        let label = |device: &Device, root: &Path| device.label(root).unwrap_or_default();
        for (device, label) in self.devices(label).await {
            if !labels.iter().any(|wanted| wanted.eq_ignore_ascii_case(&label)) {
                continue;
            }
            match device.check(self.root) {
                Ok(()) => {
                    self.notes.push(format!("{} has the label {label}", device.name));
                    return Some(device);
                }
                Err(why) => self.notes.push(format!("{} has the label {label}, but {why}", device.name)),
            }
        }
        self.notes.push(format!("no virtual media with the label {}", labels.join(" or ")));
        None
    }

    async fn find_by_model(&mut self) -> Option<Device> {
        let model = |device: &Device, _: &Path| device.model().unwrap_or_default();
        let devices = self.devices(model).await;
        let (device, _) = devices.into_iter().find(|(_, model)| model.to_lowercase().contains(MODEL))?;
        match device.check(self.root) {
            Ok(()) => Some(device),
            Err(why) => {
                self.notes.push(format!("{} calls itself {MODEL}, but {why}", device.name));
                None
            }
        }
    }

    /// The block devices, each with what `see` sees of it. A device that does not answer must not hold the start.
    async fn devices(&mut self, see: fn(&Device, &Path) -> String) -> Vec<(Device, String)> {
        let root = self.root.to_owned();
        let look = move || device::all(&root).into_iter().map(|device| (see(&device, &root), device)).collect();
        let look: tokio::task::JoinHandle<Vec<(String, Device)>> = tokio::task::spawn_blocking(look);
        let seen = timeout(COPY_DEADLINE, look).await;
        let seen = seen.map_or_else(|late| Err(late.to_string()), |done| done.map_err(|panicked| panicked.to_string()));
        let seen = seen.unwrap_or_else(|why| {
            self.notes.push(format!("the block devices cannot be looked at: {why}"));
            Vec::new()
        });
        seen.into_iter().map(|(seen, device)| (device, seen)).collect()
    }

    async fn parameters_on(&mut self, device: &Device) -> Result<BTreeMap<String, String>, VirtualMediaError> {
        let read = self.on_medium(device, |medium| copy::text_at_top(medium, PARAMETERS, PARAMETERS_LIMIT)).await?;
        let text = read.map_err(|source| VirtualMediaError::Read { device: device.node.clone(), source })?;
        let Some(text) = text else {
            self.notes.push(format!("{} has no file {PARAMETERS}", device.name));
            return Ok(BTreeMap::new());
        };
        let parameters = kernel_line::parse(&text);
        self.notes.push(format!("{} parameters read from {}", parameters.len(), device.name));
        Ok(parameters)
    }

    /// Does something with what is on a device, where it is mounted already or mounted for the while.
    async fn on_medium<T: Send + 'static>(
        &mut self,
        device: &Device,
        work: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<T, VirtualMediaError> {
        if let Some(mounted) = Mounts::read(self.root).of_device(&device.number) {
            let mounted = self.root.join(mounted.strip_prefix("/").unwrap_or(mounted));
            return within_deadline(device, mounted, work).await;
        }
        let directory = self.root.join(MOUNT_POINTS).join(format!("media-{}", device.name.replace('!', "-")));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|source| VirtualMediaError::MountPoint { path: directory.clone(), source })?;
        let mounted = self.mounter.mount(&device.node, &directory).await;
        let result = match mounted {
            Ok(()) => {
                let result = within_deadline(device, directory.clone(), work).await;
                self.unmount(&directory).await;
                result
            }
            Err(source) => Err(VirtualMediaError::Mount { device: device.node.clone(), source }),
        };
        // It stays if something is still mounted on it.
        let _ = std::fs::remove_dir(&directory);
        result
    }

    async fn unmount(&mut self, directory: &Path) -> bool {
        for attempt in 1..=UNMOUNT_ATTEMPTS {
            match self.mounter.unmount(directory).await {
                Ok(()) => return true,
                Err(_) if attempt < UNMOUNT_ATTEMPTS => sleep(UNMOUNT_PAUSE).await,
                Err(error) => self.notes.push(format!("{} stays mounted: {error}", directory.display())),
            }
        }
        false
    }
}

async fn within_deadline<T: Send + 'static>(
    device: &Device,
    medium: PathBuf,
    work: impl FnOnce(&Path) -> T + Send + 'static,
) -> Result<T, VirtualMediaError> {
    let work = tokio::task::spawn_blocking(move || work(&medium));
    match timeout(COPY_DEADLINE, work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(panicked)) => {
            Err(VirtualMediaError::Read { device: device.node.clone(), source: io::Error::other(panicked) })
        }
        Err(_) => Err(VirtualMediaError::Slow { device: device.node.clone() }),
    }
}

#[cfg(test)]
mod tests;
