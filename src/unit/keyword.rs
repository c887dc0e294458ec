//! Enums whose values are words in configuration files.

use super::{Names, is_name};

/// An enum whose values are words in configuration files.
pub trait Keyword: Copy + PartialEq + 'static {
    /// All values, in the order in which the manual lists them.
    const ALL: &'static [Self];

    /// The word for the value, and others that are accepted, all in lower case.
    fn names(self) -> Names;

    /// The value of a name or an alias.
    fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|value| is_name(name, value.names()))
    }
}
