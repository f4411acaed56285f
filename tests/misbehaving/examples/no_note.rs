//! A shared library like any other: it has no note, so it is no plugin.

/// Something to export.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> u32 {
    42
}
