//! Consoles that come later: of drivers that are modules, of adapters that are plugged in.
//!
//! The kernel tells when it uses another console, and inotify when a device node comes. Neither costs anything until then.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;

use super::Init;
use super::children::Later;
use super::start::drain;
use crate::console;
use crate::kernel_line::KernelLine;

/// The most that is read of the kernel's list, in bytes.
const LIST: usize = 4096;
/// The kernel makes a node a moment before it can be opened.
const SOON: Duration = Duration::from_secs(1);

/// What tells of consoles.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// The kernel's list of its consoles.
    pub(super) list: Option<File>,
    /// The directory of device nodes.
    pub(super) nodes: Option<OwnedFd>,
}

impl Watch {
    /// Watches from now on, as far as that is possible.
    pub(super) fn new(list: &Path, nodes: &Path) -> Self {
        let watch = || {
            let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
            inotify::add_watch(&watch, nodes, inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO)?;
            rustix::io::Result::Ok(watch)
        };
        Self { list: File::open(list).ok(), nodes: watch().ok() }
    }

    /// Whether the kernel changed its list since it was read last. It is not read without need: that waits for whatever
    /// the kernel writes to a slow console.
    fn is_news(&self) -> bool {
        let Some(list) = &self.list else { return false };
        let mut fds = [PollFd::new(list, PollFlags::PRI)];
        poll(&mut fds, Some(&Timespec::default())).is_ok_and(|count| count > 0)
    }

    /// Names of the consoles that the kernel line and the kernel say now. From then on the kernel tells of a change.
    pub(super) fn names(&self, line: &KernelLine) -> Vec<String> {
        let mut buffer = [0; LIST];
        let length = self.list.as_ref().and_then(|list| list.read_at(&mut buffer, 0).ok()).unwrap_or_default();
        console::names(line, &String::from_utf8_lossy(&buffer[..length]))
    }
}

impl Init {
    /// Takes up consoles that came.
    pub(super) fn take_consoles(&mut self) {
        let has_nodes = self.watch.nodes.as_ref().is_some_and(drain);
        if !has_nodes && !self.watch.is_news() {
            return;
        }
        for name in self.watch.names(&self.line) {
            if !self.consoles.contains(&name) && self.consoles.len() < console::MOST {
                self.log.add([Path::new(&self.settings.nodes).join(&name)]);
                self.consoles.push(name);
            }
        }
        self.open_consoles();
        if self.log.is_kept_waiting() {
            self.later.push((Instant::now() + SOON, Later::Consoles));
        }
    }

    /// Opens the consoles that can be by now, and lets in there who may log in.
    pub(super) fn open_consoles(&mut self) {
        let opened: Vec<PathBuf> = self.log.reopen().into_iter().map(Path::to_owned).collect();
        for path in opened {
            self.log.say(format_args!("console: {} is written to from now on", path.display()));
            if let Some(name) = path.file_name().and_then(|name| name.to_str()) {
                self.login_on(name.to_owned());
            }
        }
    }
}
