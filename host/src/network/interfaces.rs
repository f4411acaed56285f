//! What can be told of the network before there are managers to ask.

use crate::root::Root;

/// Most interfaces that are looked at.
const MOST: usize = 4096;
/// `ARPHRD_LOOPBACK`, as sysfs writes it.
const LOOPBACK: &str = "772";

/// True if the machine has an interface beside its loopback.
pub(crate) fn has_interface(root: &Root) -> bool {
    let entries = std::fs::read_dir(root.path("sys/class/net")).into_iter().flatten().flatten();
    entries.take(MOST).any(|entry| {
        // Some drivers put plain files there.
        std::fs::read_to_string(entry.path().join("type")).is_ok_and(|kind| kind.trim() != LOOPBACK)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loopback_alone_is_no_network() {
        let directory = tempfile::tempdir().expect("a directory");
        let root = Root::at(directory.path());
        assert!(!has_interface(&root));
        let add = |name: &str, kind: &str| {
            let path = root.path("sys/class/net").join(name);
            std::fs::create_dir_all(&path).expect("made");
            std::fs::write(path.join("type"), kind).expect("written");
        };
        add("lo", "772\n");
        std::fs::write(root.path("sys/class/net/bonding_masters"), "").expect("written");
        assert!(!has_interface(&root));
        add("eth0", "1\n");
        assert!(has_interface(&root));
    }
}
