//! The image's place: nothing is there until all is.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use rustix::process::umask;
use tempfile::NamedTempFile;

use crate::failure::{Doing, Failure, Outcome};

/// A file beside the output, which goes away unless it is finished.
#[derive(Debug)]
pub(super) struct Unfinished {
    file: NamedTempFile,
    place: PathBuf,
}

impl Unfinished {
    /// Makes the file.
    ///
    /// # Errors
    /// A place that is no plain file or is one of the inputs, and a directory that cannot be written to.
    pub(super) fn new<'a>(place: &Path, inputs: impl Iterator<Item = (&'a str, &'a Path)>) -> Outcome<Self> {
        let refused = |why: &str| Failure::new(format!("output {}: {why}", place.display()));
        let Some(name) = place.file_name() else {
            return Err(refused("this names no file"));
        };
        match place.metadata() {
            Ok(there) if !there.is_file() => {
                return Err(refused("there is something that is no plain file, and it is not replaced"));
            }
            Ok(_) => {
                for (role, input) in inputs {
                    if same(place, input).doing(format_args!("{role} {}", input.display()))? {
                        return Err(refused(&format!("this is also the {role}")));
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(refused(&error.to_string())),
        }
        let directory = place.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let prefix = format!(".{}.", name.to_string_lossy());
        let file = tempfile::Builder::new().prefix(&prefix).tempfile_in(directory).doing(format_args!(
            "output {}: cannot write in {}",
            place.display(),
            directory.display()
        ))?;
        Ok(Self { file, place: place.to_owned() })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        self.file.path()
    }

    /// Puts the file in its place, safe on the disk and with usual permissions.
    pub(super) fn finish(self) -> Outcome {
        let doing = || format!("output {}", self.place.display());
        // The mask can only be read by setting it, and this program has one thread that makes files.
        let mask = umask(Mode::empty());
        umask(mask);
        let permissions = std::fs::Permissions::from_mode(0o666 & !mask.bits());
        self.file.as_file().set_permissions(permissions).doing(doing())?;
        self.file.as_file().sync_all().doing(doing())?;
        let doing = doing();
        self.file.persist(&self.place).map(drop).doing(doing)
    }
}

fn same(a: &Path, b: &Path) -> io::Result<bool> {
    Ok(a.canonicalize()? == b.canonicalize()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfinished_file_leaves_nothing_and_what_was_there_stays() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("a b.iso");
        std::fs::write(&place, "old").unwrap();
        let unfinished = Unfinished::new(&place, std::iter::empty()).unwrap();
        std::fs::write(unfinished.path(), "half").unwrap();
        drop(unfinished);
        assert_eq!(std::fs::read(&place).unwrap(), b"old");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_finished_file_replaces_and_can_be_read_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("x.iso");
        std::fs::write(&place, "old").unwrap();
        let unfinished = Unfinished::new(&place, std::iter::empty()).unwrap();
        std::fs::write(unfinished.path(), "new").unwrap();
        unfinished.finish().unwrap();
        assert_eq!(std::fs::read(&place).unwrap(), b"new");
        assert_ne!(place.metadata().unwrap().permissions().mode() & 0o400, 0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn neither_directories_nor_devices_nor_inputs_are_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let input = directory.path().join("kernel");
        std::fs::write(&input, "k").unwrap();
        let refused =
            |place: &Path| Unfinished::new(place, [("kernel", input.as_path())].into_iter()).unwrap_err().to_string();
        assert!(refused(directory.path()).contains("no plain file"));
        assert!(refused(Path::new("/dev/null")).contains("no plain file"));
        assert!(refused(&input).contains("also the kernel"));
        assert!(refused(&directory.path().join("no/x.iso")).contains("cannot write in"));
    }
}
