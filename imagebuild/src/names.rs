//! Names of files in the ramdisk: relative to its root, `/`-separated, with `/bin`, `/sbin` and `/lib*` below `/usr`.

/// Directories of the root that are links into `/usr`.
pub const MERGED: [&str; 4] = ["bin", "lib", "lib64", "sbin"];

/// The name without the links at its beginning: `/sbin/mdadm` is `usr/sbin/mdadm`.
pub fn merged(name: &str) -> String {
    let name = name.trim_start_matches('/');
    let first = name.split('/').next().unwrap_or(name);
    if MERGED.contains(&first) { format!("usr/{name}") } else { name.to_owned() }
}

/// What a link called `name` leads to. `None` if that lies outside the root.
pub fn resolve(name: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = match target.strip_prefix('/') {
        Some(_) => Vec::new(),
        None => name.rsplit_once('/').map_or_else(Vec::new, |(directory, _)| directory.split('/').collect()),
    };
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(merged(&parts.join("/")))
}

/// Whether the name fits the pattern, in which a star stands for anything but a slash.
pub fn matches(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.strip_prefix(before).is_some_and(|rest| {
            let end = rest.find('/').unwrap_or(rest.len());
            // Longest first is no better than shortest; names are short.
            (0..=end).filter(|at| rest.is_char_boundary(*at)).any(|at| matches(after, &rest[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_links_of_a_merged_root_are_taken_out_of_names() {
        assert_eq!(merged("/sbin/mdadm"), "usr/sbin/mdadm");
        assert_eq!(merged("lib64/ld-linux-x86-64.so.2"), "usr/lib64/ld-linux-x86-64.so.2");
        assert_eq!(merged("/library/x"), "library/x");
        assert_eq!(merged("usr/lib/x"), "usr/lib/x");
    }

    #[test]
    fn links_lead_on_from_where_they_lie_and_never_out() {
        assert_eq!(resolve("usr/lib64/ld.so", "/lib/x86/ld.so"), Some("usr/lib/x86/ld.so".to_owned()));
        assert_eq!(resolve("usr/lib/x86/liba.so.1", "liba.so.1.2"), Some("usr/lib/x86/liba.so.1.2".to_owned()));
        assert_eq!(resolve("usr/bin/a", "../../sbin/b"), Some("usr/sbin/b".to_owned()));
        assert_eq!(resolve("usr/bin/a", "../../../etc/passwd"), None);
    }

    #[test]
    fn a_star_stops_at_a_slash() {
        assert!(matches("usr/lib/*/libgcc_s.so.1", "usr/lib/x86_64-linux-gnu/libgcc_s.so.1"));
        assert!(matches("virtio*", "virtio"));
        assert!(matches("a*b*c", "axbxbxc"));
        assert!(!matches("usr/lib/*.rules", "usr/lib/udev/60.rules"));
        assert!(!matches("a*c", "ab"));
    }
}
