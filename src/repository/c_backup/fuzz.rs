//! The lists of a backup of the C program.

use super::super::manifest_line::is_relative_path;
use super::{csv, sums};

/// Each line of the bytes as one of `backup.manifest` and of `backup.sha512`.
pub fn lists(input: &[u8]) {
    for line in input.split(|byte| *byte == b'\n') {
        let row = csv::parse_row(line).map(|(path, _)| path);
        let sum = sums::parse_line(line).map(|(path, _)| path);
        for path in row.into_iter().chain(sum) {
            assert!(is_relative_path(&path), "{path:?}");
        }
    }
}
