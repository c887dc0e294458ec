//! What this kernel can do.

use std::fs::File;

/// Whether a `syncfs` that succeeds on an open file proves that all which was written to its file system since the file
/// was opened is on disk: from Linux 5.8 on, where write errors are kept for each open file (`s_wb_err`, `fs/sync.c`), and
/// on those file systems of which that is known. FUSE, overlays and network file systems may not wait, or not tell.
#[cfg(target_os = "linux")]
pub fn syncfs_is_proof(file: &File) -> bool {
    static NEW_ENOUGH: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let name = rustix::system::uname();
        let release = name.release().to_string_lossy();
        let mut parts = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (5, 8)
    });
    *NEW_ENOUGH
        && rustix::fs::fstatfs(file)
            .ok()
            // The word is signed on some platforms, and has 32 bits on others.
            .and_then(|found| u32::try_from(i128::from(found.f_type) & 0xFFFF_FFFF).ok())
            .is_some_and(passes_errors_on)
}

/// Whether a file system, by its number in `statfs` (Linux `uapi/linux/magic.h`, `uapi/linux/f2fs.h`), waits in `syncfs`
/// and reports its write errors to it. ZFS is not among them: it does so from OpenZFS 2.4 on only, and its number does not
/// tell which it is.
#[cfg(target_os = "linux")]
fn passes_errors_on(number: u32) -> bool {
    const EXT2_3_4: u32 = 0xEF53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683E;
    const F2FS: u32 = 0xF2F5_2010;
    [EXT2_3_4, XFS, BTRFS, F2FS].contains(&number)
}

/// Whether a `syncfs` that succeeds proves anything: there is none here.
#[cfg(not(target_os = "linux"))]
pub fn syncfs_is_proof(_file: &File) -> bool {
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

/// Asks the kernel to read what a file has from `offset` on, so that it is at hand when a part of a page is written. A hint
/// only.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn read_ahead(file: &File, offset: u64) {
    // Where it is refused a write reads its page first.
    let _ = rustix::fs::fadvise(file, offset, None, rustix::fs::Advice::WillNeed);
}

/// Asks the kernel to read what a file has from `offset` on: nothing to ask for here.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn read_ahead(_file: &File, _offset: u64) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn syncfs_counts_on_known_file_systems_only() {
        assert!([0xEF53, 0x9123_683E].into_iter().all(passes_errors_on));
        // FUSE, overlay, NFS, 9p, SMB, tmpfs, ZFS
        let others = [
            0x6573_5546,
            0x794C_7630,
            0x6969,
            0x0102_1997,
            0xFE53_4D42,
            0x0102_1994,
            0x2FC1_2FC1,
        ];
        assert!(!others.into_iter().any(passes_errors_on));
        assert!(!syncfs_is_proof(&File::open("/proc/self").unwrap()));
    }
}
