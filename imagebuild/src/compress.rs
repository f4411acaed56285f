//! Compression by the usual programs. What they make is unpacked by every kernel; a library would cost a C compiler.

use std::fs::File;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::Duration;

use crate::failure::{Doing, Failure, Outcome};
use crate::process;

const DEADLINE: Duration = Duration::from_secs(1800);

/// How an archive is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Not at all.
    None,
    /// With gzip.
    Gzip,
    /// With xz.
    Xz,
    /// With Zstandard.
    Zstd,
}

impl FromStr for Method {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self, Failure> {
        match name {
            "none" => Ok(Self::None),
            "gzip" => Ok(Self::Gzip),
            "xz" => Ok(Self::Xz),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Failure::new(format!("there is no compression {name}; there are zstd, xz, gzip and none"))),
        }
    }
}

/// A method and how hard it tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// The method.
    pub method: Method,
    /// Its level, in the method's own numbers.
    pub level: u8,
}

impl Compression {
    /// The method with the level, or with the one that is worth its time.
    ///
    /// # Errors
    /// If the method has no such level, or one whose window would take a small machine's memory while it boots.
    pub fn new(method: Method, level: Option<u8>) -> Outcome<Self> {
        let (default, levels) = match method {
            Method::None => (0, 0..=0),
            Method::Gzip => (9, 1..=9),
            Method::Xz => (6, 0..=6),
            // From 20 on the kernel needs 32 MiB and more to unpack, and gains nothing.
            Method::Zstd => (19, 1..=19),
        };
        let level = level.unwrap_or(default);
        if levels.contains(&level) {
            return Ok(Self { method, level });
        }
        let (first, last) = levels.into_inner();
        Err(Failure::new(format!(
            "the level {level} is not between {first} and {last}, which {} takes",
            method_name(method)
        )))
    }

    /// As a person writes it.
    pub fn name(self) -> String {
        match self.method {
            Method::None => method_name(self.method).to_owned(),
            method => format!("{} -{}", method_name(method), self.level),
        }
    }

    /// Compresses the file `from` into the file `to`. The same content gives the same bytes, however many processors
    /// there are.
    ///
    /// # Errors
    /// If the program fails or a file cannot be read or written.
    pub fn compress(self, from: &Path, to: &Path) -> Outcome {
        let writing = || format!("writing {}", to.display());
        let level = format!("-{}", self.level);
        let mut command = match self.method {
            Method::None => {
                std::fs::copy(from, to).doing(writing())?;
                return Ok(());
            }
            Method::Gzip => Command::new("gzip"),
            Method::Xz => Command::new("xz"),
            Method::Zstd => Command::new("zstd"),
        };
        match self.method {
            // Neither name nor time.
            Method::Gzip => command.arg("--no-name"),
            // The only checksum that kernels know. One thread, as how many there are would show in the result.
            Method::Xz => command.args(["--check=crc32", "--threads=1"]),
            // Any number of threads gives the same result, but not the mode without threads.
            _ => command.args(["--quiet", "--threads=0"]),
        };
        command.args([level.as_str(), "--stdout"]).arg(from).stdout(File::create(to).doing(writing())?);
        process::run(&mut command, DEADLINE)
    }
}

const fn method_name(method: Method) -> &'static str {
    match method {
        Method::None => "none",
        Method::Gzip => "gzip",
        Method::Xz => "xz",
        Method::Zstd => "zstd",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_bounds() {
        assert_eq!(Compression::new(Method::Zstd, None).unwrap().name(), "zstd -19");
        assert_eq!(Compression::new(Method::None, None).unwrap().name(), "none");
        let failure = Compression::new(Method::Zstd, Some(22)).unwrap_err().to_string();
        assert_eq!(failure, "the level 22 is not between 1 and 19, which zstd takes");
        assert!("brotli".parse::<Method>().unwrap_err().to_string().contains("zstd, xz, gzip and none"));
    }

    #[test]
    fn what_was_compressed_can_be_had_again_and_is_the_same_each_time() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::write(at("in"), "as before ".repeat(1000)).unwrap();
        for (method, undo) in [(Method::Gzip, "gzip"), (Method::Xz, "xz")] {
            let compression = Compression::new(method, None).unwrap();
            compression.compress(&at("in"), &at("a")).unwrap();
            compression.compress(&at("in"), &at("b")).unwrap();
            assert_eq!(std::fs::read(at("a")).unwrap(), std::fs::read(at("b")).unwrap());
            let mut command = Command::new(undo);
            command.args(["--decompress", "--stdout"]).stdin(File::open(at("a")).unwrap());
            let output = command.output().unwrap().stdout;
            assert_eq!(output, std::fs::read(at("in")).unwrap());
        }
    }
}
