//! Enums whose values are words in configuration files.

use super::Names;

/// An enum whose values are words in configuration files.
pub trait Keyword: Copy + PartialEq + 'static {
    /// All values, in the order in which the manual lists them.
    const ALL: &'static [Self];

    /// The word for the value, and others that are accepted, all in lower case.
    fn names(self) -> Names;
}
