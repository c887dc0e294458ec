//! Counts the file system calls of a process, and kills or stops it at a chosen one.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::scratch::write_owned;
use super::wait::wait_until;

/// A kind of file system call, as `enum call` of `faults.c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opens an existing file or directory.
    Open,
    /// Opens a file with O_CREAT, creates a directory or a symbolic link.
    Create,
    /// Writes, or changes the size of a file. A process that is killed here has written half of it.
    Write,
    /// Syncs a file or a directory.
    Sync,
    /// Renames a file or directory.
    Rename,
    /// Creates a hard link.
    Link,
    /// Removes a file or directory.
    Unlink,
}

impl Call {
    pub const ALL: [Call; 7] = [
        Call::Open,
        Call::Create,
        Call::Write,
        Call::Sync,
        Call::Rename,
        Call::Link,
        Call::Unlink,
    ];
}

/// The effect at the chosen call, as `enum action` of `faults.c`.
#[derive(Clone, Copy)]
enum Action {
    Nothing,
    Count,
    Kill,
    Hold,
}

/// Offsets in `struct steps` of `faults.c`; its numbers have eight bytes.
const ACTION: u64 = 0;
const CALL: u64 = 8;
const NUMBER: u64 = 16;
const REACHED: u64 = 24;
const COUNTS: u64 = 32;
const PART: u64 = COUNTS + 8 * Call::ALL.len() as u64;
const PART_SIZE: usize = 256;

/// The file that is mapped by the process; by one process at a time.
pub struct Steps(File);

impl Steps {
    /// Creates the file in the directory of the faults. No calls are counted yet.
    pub fn create(directory: &Path) -> Self {
        let path = directory.join("steps");
        write_owned(&path, vec![0; PART as usize + PART_SIZE]);
        let file = File::options().read(true).write(true).open(path);
        Self(file.unwrap())
    }

    /// Starts to count calls, from zero, for files with `part` in their paths.
    pub fn count(&self, part: &str) {
        self.set(Action::Count, part, Call::Open, 0);
    }

    /// The counts so far, in the order of [`Call::ALL`].
    pub fn counted(&self) -> [u64; Call::ALL.len()] {
        Call::ALL.map(|call| self.get(COUNTS + 8 * call as u64))
    }

    /// Counts calls, and kills the process with SIGKILL at call `number` of this kind, from 1.
    pub fn kill_at(&self, part: &str, call: Call, number: u64) {
        self.set(Action::Kill, part, call, number);
    }

    /// Counts calls, and stops the process at call `number` of this kind, and at later ones, until
    /// [`Steps::release`].
    pub fn hold_at(&self, part: &str, call: Call, number: u64) {
        self.set(Action::Hold, part, call, number);
    }

    /// Whether the chosen call was reached.
    pub fn reached(&self) -> bool {
        self.get(REACHED) == 1
    }

    /// Waits until the chosen call is reached.
    pub fn wait_reached(&self) {
        wait_until("the process reaches the call", 60, || self.reached());
    }

    /// Lets a stopped process continue, and stops counting.
    pub fn release(&self) {
        self.put(ACTION, Action::Nothing as u64);
    }

    fn set(&self, action: Action, part: &str, call: Call, number: u64) {
        self.release();
        let mut bytes = [0; PART_SIZE];
        bytes[..part.len()].copy_from_slice(part.as_bytes());
        assert!(part.len() < PART_SIZE, "{part} is too long");
        self.0.write_all_at(&bytes, PART).unwrap();
        for call in Call::ALL {
            self.put(COUNTS + 8 * call as u64, 0);
        }
        self.put(REACHED, 0);
        self.put(CALL, call as u64);
        self.put(NUMBER, number);
        self.put(ACTION, action as u64);
    }

    fn get(&self, offset: u64) -> u64 {
        let mut bytes = [0; 8];
        self.0.read_exact_at(&mut bytes, offset).unwrap();
        u64::from_ne_bytes(bytes)
    }

    fn put(&self, offset: u64, number: u64) {
        self.0.write_all_at(&number.to_ne_bytes(), offset).unwrap();
    }
}
