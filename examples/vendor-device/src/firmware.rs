//! Firmware: versions, images, and the vendor's tool that writes them.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use ipa_plugin_api::prelude::*;

use crate::device::Device;

/// The manual says five minutes; a device with worn flash takes longer.
const FLASH_DEADLINE: Duration = Duration::from_secs(30 * 60);
const REPORT_DEADLINE: Duration = Duration::from_secs(30);

/// A firmware version such as `2.4.0`: three numbers.
///
/// It becomes part of a file name, so nothing but numbers and dots may get into it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Version([u32; 3]);

impl FromStr for Version {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<u32> = text.split('.').filter_map(|part| part.parse().ok()).collect();
        let version = <[u32; 3]>::try_from(numbers).map(Self).ok();
        // Whatever does not print as it was written ("1.2.3.x", "+1.2.3", "01.2.3") is no version either.
        version
            .filter(|version| version.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no firmware version; one reads like 2.4.0"))
    }
}

impl TryFrom<String> for Version {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

/// The image of a version.
pub fn image(directory: &Path, version: &Version) -> HwResult<PathBuf> {
    let path = directory.join(format!("model1234-{version}.bin"));
    if path.is_file() {
        return Ok(path);
    }
    Err(HwError::cleaning(format!(
        "there is no firmware {version} in the ramdisk: {} is no file; add it, or ask for another version",
        path.display()
    )))
}

/// Writes an image to a device. `progress` sees the percents that the tool prints.
///
/// The host runs the tool: without a shell, with a deadline, and never longer than this call.
pub fn flash(cx: &Cx<'_>, tool: &str, device: &Device, image: &Path, progress: &dyn Fn(u8)) -> HwResult<()> {
    let mut command = Command::new(tool)
        .args(["flash", "--device", &device.address, "--image"])
        .arg(image.display().to_string())
        .deadline(FLASH_DEADLINE)
        .on_line(|_stream, line| {
            if let Some(percent) = percent(line) {
                progress(percent);
            }
        });
    let output = cx.run(&mut command)?;
    if output.success() {
        return Ok(());
    }
    // `failure` says what was run, how it ended and what it said last; only we know what that means for the device.
    Err(HwError::cleaning(format!(
        "firmware of example device {} was not upgraded, the old one stays active: {}",
        device.address,
        output.failure()
    )))
}

/// What the tool says of a device's state.
pub fn report(cx: &Cx<'_>, tool: &str, device: &Device) -> HwResult<String> {
    let mut command = Command::new(tool).args(["report", "--device", &device.address]).deadline(REPORT_DEADLINE);
    Ok(cx.run(&mut command)?.check()?.stdout)
}

/// The percents of a line such as `Writing: 40%`.
fn percent(line: &str) -> Option<u8> {
    line.strip_prefix("Writing: ")?.strip_suffix('%')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        let version = |text: &str| text.parse::<Version>().expect(text);
        assert!(version("2.10.0") > version("2.9.9"));
        assert_eq!(version("2.4.0").to_string(), "2.4.0");
    }

    #[test]
    fn what_is_no_version_never_gets_into_a_file_name() {
        for text in ["", "2.4", "2.4.0.1", "2.4.x", "../../../etc/2.4.0", "2.4.0/../..", "+2.4.0", "2.04.0", "2.4.0\n"]
        {
            let error = text.parse::<Version>().expect_err(text);
            assert!(error.contains("no firmware version"), "{error}");
        }
    }

    #[test]
    fn percents_are_read_from_the_lines_of_the_tool() {
        assert_eq!(percent("Writing: 40%"), Some(40));
        for line in ["Writing: 400%", "Writing: -1%", "Verifying", ""] {
            assert_eq!(percent(line), None, "{line}");
        }
    }
}
