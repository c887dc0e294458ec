//! The names of files in progress.

/// The suffix of the segment that is being received.
pub const PARTIAL_SUFFIX: &str = ".partial";

/// The prefix of a file that is prepared as the next segment.
pub(super) const SPARE_PREFIX: &str = ".spare.";

/// The suffix of a file that replaces another one when it is complete; its name begins with a dot.
pub(super) const TEMPORARY_SUFFIX: &str = ".tmp";

/// Whether a file was left by a crash: it is neither complete nor a segment that is being received.
pub fn is_temporary(name: &str) -> bool {
    name.starts_with(SPARE_PREFIX) || name.starts_with('.') && name.ends_with(TEMPORARY_SUFFIX)
}
