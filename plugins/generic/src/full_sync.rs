//! Everything that is still in memory goes to the disks, since Ironic may cut the power next.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::time::Duration;

use ipa_plugin_api::prelude::*;

use crate::root::Root;

/// Longest time to write all file systems' buffers; slow disks behind much memory take minutes.
const SYNC_DEADLINE: Duration = Duration::from_secs(1800);
/// Longest time for the buffers of one device.
const DEVICE_DEADLINE: Duration = Duration::from_secs(600);
/// Where the kernel is told to forget clean caches, below the root.
const DROP_CACHES: &str = "proc/sys/vm/drop_caches";

/// Writes all file systems' buffers, has the kernel drop its caches, and flushes every disk of the listing.
///
/// # Errors
/// The file systems could not be written, or the disks not be listed. A single disk that does not flush is logged.
pub fn full_sync(root: &Root, cx: &Cx<'_>) -> HwResult<()> {
    cx.run(&mut Command::new("sync").deadline(SYNC_DEADLINE)).and_then(CommandOutput::check).map_err(|error| {
        HwError::command_execution(format!("file system buffers were not written: {}", error.details()))
    })?;
    if let Err(error) = drop_caches(root) {
        cx.log(Level::Warning, "the kernel does not drop its caches", &[("error", &error)]);
    }
    for disk in cx.dispatch::<Vec<BlockDevice>>("list_block_devices", json!({}))? {
        let mut command = Command::new("blockdev").args(["--flushbufs", &disk.name]).deadline(DEVICE_DEADLINE);
        if let Err(error) = cx.run(&mut command).and_then(CommandOutput::check) {
            cx.log(Level::Warning, "a disk was not flushed", &[("disk", &disk.name), ("error", &error.details())]);
        }
    }
    Ok(())
}

fn drop_caches(root: &Root) -> io::Result<()> {
    OpenOptions::new().write(true).open(root.path(DROP_CACHES))?.write_all(b"3")
}

#[cfg(test)]
mod tests {
    use ipa_plugin_api::export::Export;
    use ipa_plugin_api::testing::{FakeHost, output};

    use super::*;
    use crate::manager::GenericHardwareManager;
    use crate::root::fixture::Tree;

    fn run(host: &FakeHost) -> (HwResult<()>, String) {
        let tree = Tree::new();
        tree.file(DROP_CACHES, "");
        let done = full_sync(&tree.root(), &Cx::new(host, 1, &GenericHardwareManager::SPEC));
        (done, tree.root().text(DROP_CACHES).expect("readable"))
    }

    #[test]
    fn buffers_caches_and_every_disk() {
        let disks = json!([{"name": "/dev/sda", "size": 1}, {"name": "/dev/sdb", "size": 1}]);
        let host = FakeHost::new()
            .command(&["sync"], output(0, "", ""))
            .command(&["blockdev", "--flushbufs", "/dev/sdb"], output(0, "", ""))
            .answer("list_block_devices", Ok(disks));
        let (done, dropped) = run(&host);
        done.expect("a disk that does not flush is only logged");
        assert_eq!(dropped, "3");
        let argv = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let flush = |disk| argv(&["blockdev", "--flushbufs", disk]);
        assert_eq!(host.commands_run(), [argv(&["sync"]), flush("/dev/sda"), flush("/dev/sdb")]);
        let [record] = &host.log_records()[..] else { panic!("one warning: {:?}", host.log_records()) };
        assert_eq!((record.level, record.pairs["disk"].as_str()), (Level::Warning, "/dev/sda"));
    }

    #[test]
    fn file_systems_that_are_not_written_are_an_error() {
        let host = FakeHost::new().command(&["sync"], output(1, "", "sync: error syncing: Input/output error\n"));
        let (done, dropped) = run(&host);
        let error = done.expect_err("the disks lack data");
        assert_eq!(error.class(), "CommandExecutionError");
        assert!(error.details().contains("Input/output error"), "{error}");
        assert_eq!((dropped.as_str(), host.commands_run().len()), ("", 1));
    }
}
