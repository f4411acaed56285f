//! No plugin, but a library that a test has loaded into a host: it moves the host's wall clock, and no other clock, by as
//! many seconds as the file says that the variable `WALL_CLOCK` names. The file may change at any time.

use ipa_misbehaving::libc;

/// Takes the place of the C library's function.
///
/// # Safety
/// None is needed: a wrong pointer is an error of the kernel's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // SAFETY: the kernel checks both arguments.
    let result = unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) };
    if result == 0 && matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE) {
        // SAFETY: the kernel has just written there.
        unsafe { (*time).tv_sec += seconds() };
    }
    -libc::c_int::from(result != 0)
}

/// What the file says; nothing here may allocate, lock or ask for the time.
fn seconds() -> i64 {
    let mut text = [0_u8; 32];
    // SAFETY: the name and the value of the variable are C strings, and the buffer is as long as is said.
    let length = unsafe {
        let path = libc::getenv(c"WALL_CLOCK".as_ptr());
        if path.is_null() {
            return 0;
        }
        let file = libc::open(path, libc::O_RDONLY | libc::O_CLOEXEC);
        let length = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        length
    };
    let text = text.get(..usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    std::str::from_utf8(text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
