//! What makes an image the one it is: a digest of all that is in it.

use std::path::Path;

use crate::failure::Outcome;
use crate::{digest, epoch};

/// Seconds of a day.
const DAY: u64 = 86_400;

/// Identifiers from the content, and the time of all files.
#[derive(Debug, Clone)]
pub(super) struct Identity {
    /// SHA-256 as hexadecimal digits.
    digest: String,
    /// Seconds since 1970.
    epoch: u32,
}

impl Identity {
    /// Reads all files once.
    pub(super) fn of<'a>(files: impl Iterator<Item = (&'a str, &'a Path)>, texts: &[&str]) -> Outcome<Self> {
        let epoch = epoch::given_or_first()?;
        let mut content = String::new();
        for text in texts {
            content.push_str(&format!("{}:{text}\n", text.len()));
        }
        for (name, path) in files {
            content.push_str(&format!("{}:{name} {}\n", name.len(), digest::of_file(path)?));
        }
        Ok(Self { digest: digest::of_bytes(content.as_bytes()), epoch })
    }

    /// The time of all files, in seconds since 1970.
    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    /// A time of the same day that depends on the content, as YYYYMMDDhhmmsscc.
    pub(super) fn volume_date(&self) -> String {
        let (year, month, day) = date(u64::from(self.epoch) / DAY);
        let number = u64::from_str_radix(&self.digest[56..], 16).expect("hexadecimal digits");
        let hundredths = number % (DAY * 100);
        let (seconds, hundredths) = (hundredths / 100, hundredths % 100);
        let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}{month:02}{day:02}{hours:02}{minutes:02}{seconds:02}{hundredths:02}")
    }

    /// A file that only this image has, by which GRUB tells it from other media.
    pub(super) fn marker(&self) -> String {
        format!(".disk/{}", &self.digest[..24])
    }

    /// The disk's GUID as 32 digits, marked as a random one.
    pub(super) fn disk_guid(&self) -> String {
        let mut guid = self.digest[..32].to_owned();
        guid.replace_range(12..13, "4");
        guid.replace_range(16..17, "8");
        guid
    }

    /// Serial number of the FAT volume.
    pub(super) fn fat_serial(&self) -> &str {
        &self.digest[32..40]
    }
}

/// Year, month and day of the Gregorian calendar, from days since 1970-01-01.
fn date(days: u64) -> (u64, u64, u64) {
    // Years that begin in March have their leap day last; 400 of them have always as many days.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_the_content_counts() {
        let directory = tempfile::tempdir().unwrap();
        let (a, b) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&a, "a").unwrap();
        std::fs::write(&b, "b").unwrap();
        let marker = |files: [(&str, &Path); 2], text: &str| Identity::of(files.into_iter(), &[text]).unwrap().marker();
        let first = marker([("x", &a), ("y", &b)], "line");
        assert_eq!(first, marker([("x", &a), ("y", &b)], "line"));
        for other in [
            marker([("x", &b), ("y", &a)], "line"),
            marker([("x", &a), ("z", &b)], "line"),
            marker([("x", &a), ("y", &b)], "other"),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn the_disk_guid_is_marked_as_random() {
        let identity = Identity { digest: "f".repeat(64), epoch: 0 };
        assert_eq!(identity.disk_guid(), "ffffffffffff4fff8fffffffffffffff");
        assert_eq!(identity.fat_serial(), "ffffffff");
        assert_eq!(identity.volume_date(), "1970010102275295");
    }

    #[test]
    fn days_become_dates() {
        for (days, expected) in [
            (0, (1970, 1, 1)),
            (u64::from(epoch::FIRST) / DAY, (1980, 1, 1)),
            (11_016, (2000, 2, 29)),
            (11_017, (2000, 3, 1)),
            (20_453, (2025, 12, 31)),
        ] {
            assert_eq!(date(days), expected, "{days}");
        }
    }
}
