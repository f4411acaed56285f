//! The agent token: what API clients must give with every command.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use uuid::Uuid;

/// Shortest token that Ironic makes.
pub const SHORTEST: usize = 32;

/// A new token: 64 hexadecimal digits from the kernel's random numbers.
pub fn make() -> String {
    format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

/// Keeps a token in a file that only its owner can read. Whatever stood in its place is replaced as one step, so that
/// nobody reads half a token, and a link planted there is not followed.
pub fn keep(token: &str, path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(directory)?;
    let name = path.file_name().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"))?;
    let draft = directory.join(format!(".{}.{}", name.to_string_lossy(), Uuid::new_v4().simple()));
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.set_permissions(Permissions::from_mode(0o600))?;
        writeln!(file, "{token}")?;
        fs::rename(&draft, path)
    })();
    if written.is_err() {
        // The draft holds the token; its removal is all that can still be tried.
        let _ = fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_long_and_new_each_time() {
        let (one, two) = (make(), make());
        assert!(one.len() >= SHORTEST && one != two);
    }

    #[test]
    fn only_the_owner_can_read_the_file_even_where_a_link_was_planted() {
        let directory = tempfile::tempdir().expect("a directory");
        let (victim, path) = (directory.path().join("victim"), directory.path().join("run/agent-token"));
        fs::write(&victim, "untouched").expect("written");
        fs::create_dir(directory.path().join("run")).expect("made");
        std::os::unix::fs::symlink(&victim, &path).expect("linked");
        keep("secret", &path).expect("kept");
        let kept = fs::symlink_metadata(&path).expect("there");
        assert!(kept.is_file());
        assert_eq!(kept.permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).expect("readable"), "secret\n");
        assert_eq!(fs::read_to_string(&victim).expect("readable"), "untouched");
        assert_eq!(fs::read_dir(directory.path().join("run")).expect("listed").count(), 1, "no draft is left");
    }
}
