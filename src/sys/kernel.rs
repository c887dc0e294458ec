//! System calls for write-back and caching of files.

use std::fs::File;

/// Whether a successful `syncfs` on an open file proves that everything written to its file system
/// since the file was opened is on disk: since Linux 5.8, which keeps write errors for each open
/// file (`s_wb_err`, `fs/sync.c`), on file systems that are known to support it. FUSE, overlay and
/// network file systems may neither wait nor report errors.
#[cfg(target_os = "linux")]
pub fn syncfs_is_reliable(file: &File) -> bool {
    static SUPPORTED: std::sync::LazyLock<bool> = std::sync::LazyLock::new(|| {
        let name = rustix::system::uname();
        let release = name.release().to_string_lossy();
        let mut parts = release
            .split(|c: char| !c.is_ascii_digit())
            .map(|part| part.parse::<u32>().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0)) >= (5, 8)
    });
    *SUPPORTED
        && rustix::fs::fstatfs(file)
            .ok()
            // The field is signed on some platforms, and has 32 bits on others.
            .and_then(|found| u32::try_from(i128::from(found.f_type) & 0xFFFF_FFFF).ok())
            .is_some_and(reports_write_errors)
}

/// Whether `syncfs` on a file system, by its magic number in `statfs` (Linux `uapi/linux/magic.h`,
/// `uapi/linux/f2fs.h`), waits and reports write errors. ZFS does so since OpenZFS 2.4 only, which
/// its magic number does not tell.
#[cfg(target_os = "linux")]
fn reports_write_errors(magic: u32) -> bool {
    const EXT2_3_4: u32 = 0xEF53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683E;
    const F2FS: u32 = 0xF2F5_2010;
    [EXT2_3_4, XFS, BTRFS, F2FS].contains(&magic)
}

/// Always `false`: there is no `syncfs`.
#[cfg(not(target_os = "linux"))]
pub fn syncfs_is_reliable(_file: &File) -> bool {
    false
}

/// Asks the kernel to start writing a range of a file to disk, so that a later sync has less to
/// write. A hint only: it guarantees nothing, and a failure is reported by the sync.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "sync_file_range has no safe wrapper")]
pub fn start_writeback(file: &File, offset: u64, length: u64) {
    use std::os::fd::AsRawFd;
    let (Ok(offset), Ok(length)) = (i64::try_from(offset), i64::try_from(length)) else {
        return;
    };
    // SAFETY: the descriptor is open for the whole call, and the call accesses no memory of this
    // process.
    unsafe {
        libc::sync_file_range(
            file.as_raw_fd(),
            offset,
            length,
            libc::SYNC_FILE_RANGE_WRITE,
        )
    };
}

/// Does nothing: there is no such system call.
#[cfg(not(target_os = "linux"))]
pub fn start_writeback(_file: &File, _offset: u64, _length: u64) {}

/// Asks the kernel to drop the clean pages of a file from the page cache, so that the next read is
/// from disk. A hint only.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn drop_page_cache(file: &File) {
    // On failure the file is read from the cache.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Does nothing: there is no such system call.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn drop_page_cache(_file: &File) {}

/// Asks the kernel to read a file from `offset` to its end into the page cache, so that later
/// writes of parts of pages do not wait for reads. A hint only.
#[cfg(any(target_os = "linux", target_os = "freebsd"))]
pub fn read_ahead(file: &File, offset: u64) {
    // On failure such a write reads its page first.
    let _ = rustix::fs::fadvise(file, offset, None, rustix::fs::Advice::WillNeed);
}

/// Does nothing: there is no such system call.
#[cfg(not(any(target_os = "linux", target_os = "freebsd")))]
pub fn read_ahead(_file: &File, _offset: u64) {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn syncfs_is_reliable_on_known_file_systems_only() {
        assert!([0xEF53, 0x9123_683E].into_iter().all(reports_write_errors));
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
        assert!(!others.into_iter().any(reports_write_errors));
        assert!(!syncfs_is_reliable(&File::open("/proc/self").unwrap()));
    }
}
