//! Random numbers: what must not be guessed or must not happen everywhere at once.

use std::time::Duration;

use uuid::Uuid;

/// A random part of a whole, from 0 to 1.
fn part() -> f64 {
    // The upper 48 bits of a version 4 UUID are all random.
    let bits = Uuid::new_v4().as_u64_pair().0 >> 16;
    #[expect(clippy::cast_precision_loss, reason = "48 bits fit")]
    let part = bits as f64 / (1_u64 << 48) as f64;
    part
}

/// A random number between two others.
pub(crate) fn within(low: f64, high: f64) -> f64 {
    low + (high - low) * part()
}

/// A random time between two others, in seconds.
pub(crate) fn between(low: f64, high: f64) -> Duration {
    Duration::try_from_secs_f64(within(low, high)).unwrap_or_default()
}

/// A random number of 16 bits.
pub(crate) fn number() -> u16 {
    let [high, low, ..] = *Uuid::new_v4().as_bytes();
    u16::from_be_bytes([high, low])
}
