//! How much memory a guest uses, by what its kernel tells a memory balloon. The balloon itself stays empty.

use std::thread;
use std::time::{Duration, Instant};

use ipa_imagebuild::failure::Outcome;
use serde_json::{Value, json};

use crate::arguments::Arguments;
use crate::guest::Guest;

const ID: &str = "balloon";
/// Between two looks whether the guest has answered.
const LOOK: Duration = Duration::from_millis(100);

pub(crate) fn add_to(arguments: &mut Arguments) {
    arguments.device(&json!({"driver": "virtio-balloon-pci", "id": ID}));
}

impl Guest {
    /// Bytes of memory that its kernel has given out: `MemTotal` less `MemFree`. The files of a ramdisk are in it.
    /// It is asked for anew; [`Machine::balloon`](crate::Machine::balloon) is how a machine can answer.
    ///
    /// # Errors
    /// The machine has no balloon, or its kernel does not answer in time: it needs `virtio_balloon`.
    pub fn used_memory(&self, within: Duration) -> Outcome<u64> {
        let path = format!("/machine/peripheral/{ID}");
        let ask = |property: &str| self.qmp().run("qom-get", &json!({"path": path, "property": property}));
        let before = ask("guest-stats")?["last-update"].clone();
        let every_second = json!({"path": path, "property": "guest-stats-polling-interval", "value": 1});
        self.qmp().run("qom-set", &every_second)?;
        let end = Instant::now() + within;
        loop {
            let answer = ask("guest-stats")?;
            if let Some(used) = used(&answer["stats"]).filter(|_| answer["last-update"] != before) {
                return Ok(used);
            }
            if Instant::now() >= end {
                return Err(self.failure(&format!("its kernel has not told its memory within {} s", within.as_secs())));
            }
            thread::sleep(LOOK);
        }
    }
}

/// Not `MemAvailable`: the kernel sets memory aside from it by the size of the machine, far more than an agent uses.
/// Values that the guest has not told are there as the largest number.
fn used(stats: &Value) -> Option<u64> {
    let told = |name: &str| stats[name].as_u64().filter(|bytes| *bytes != u64::MAX);
    told("stat-total-memory")?.checked_sub(told("stat-free-memory")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_told_counts() {
        assert_eq!(used(&json!({"stat-total-memory": 1000, "stat-free-memory": 400})), Some(600));
        assert_eq!(used(&json!({"stat-total-memory": u64::MAX, "stat-free-memory": u64::MAX})), None);
        assert_eq!(used(&json!({"stat-total-memory": 1000})), None);
        assert_eq!(used(&Value::Null), None);
    }
}
