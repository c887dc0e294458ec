//! What this kernel can do.

use std::fs::File;

/// Whether `syncfs` reports write errors of the file system: from Linux 5.8 on.
#[cfg(target_os = "linux")]
pub fn syncfs_reports_errors() -> bool {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let mut parts = release
        .split(|c: char| !c.is_ascii_digit())
        .map(|part| part.parse::<u32>().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (5, 8)
}

/// Whether `syncfs` reports write errors of the file system: there is none here.
#[cfg(not(target_os = "linux"))]
pub fn syncfs_reports_errors() -> bool {
    false
}

/// Asks the kernel to start writing a range of a file to disk, so that a later sync finds less to do. A hint only:
/// it proves nothing, and a failure shows up in the sync.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "sync_file_range has no safe wrapper")]
pub fn start_writeback(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: the descriptor is open for the whole call, and the call touches no memory of ours.
    unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}

/// Asks the kernel to start writing a range of a file to disk: nothing to ask for here.
#[cfg(not(target_os = "linux"))]
pub fn start_writeback(_file: &File, _offset: u64, _length: u64) {}

/// Asks the kernel to forget what it has cached of a file and need not write any more, so that the next read comes from
/// the disk. A hint only.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn forget_cached(file: &File) {
    // Where it is refused the file is read from the cache, as it would have been without asking.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Asks the kernel to forget what it has cached of a file: nothing to ask for here.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn forget_cached(_file: &File) {}
