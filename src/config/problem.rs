//! Errors and warnings about the configuration, collected to be reported together, and suggestions
//! for misspelled words.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, ErrorKind};

/// An error in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The path of the file.
    pub file: PathBuf,
    /// The line number from 1, if it is about a line.
    pub line: Option<usize>,
    /// The key, if it is about one.
    pub key: Option<String>,
    /// The message, without file, line and key.
    pub text: String,
    /// How to correct it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    /// `file:line: key: message`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(line) = self.line {
            write!(f, "{line}:")?;
        }
        if let Some(key) = &self.key {
            write!(f, " {key}:")?;
        }
        write!(f, " {}", self.text)
    }
}

/// All errors in the configuration, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether there are no errors.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One error: the first problem, and the number of the others.
    pub fn into_error(self) -> Error {
        let mut problems = self.0.into_iter();
        let Some(first) = problems.next() else {
            return Error::new(ErrorKind::Internal, "the configuration has no problem");
        };
        let failure = match problems.len() {
            0 => Error::new(ErrorKind::Configuration, first.to_string()),
            more => Error::new(
                ErrorKind::Configuration,
                format!("{first} (and {more} more)"),
            )
            .with_hint("see all of them with: pgmoneta --check-config"),
        };
        match first.hint {
            Some(hint) => failure.with_hint(hint),
            None => failure,
        }
    }
}

impl fmt::Display for Problems {
    /// Each problem on one line, its hint on the next one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.0 {
            writeln!(f, "{problem}")?;
            if let Some(hint) = &problem.hint {
                writeln!(f, "hint: {hint}")?;
            }
        }
        Ok(())
    }
}

impl From<Problems> for Error {
    fn from(problems: Problems) -> Error {
        problems.into_error()
    }
}

/// Collects errors and warnings while a file is parsed and checked.
#[derive(Debug)]
pub(super) struct Diagnostics {
    file: PathBuf,
    problems: Vec<Problem>,
    /// Warnings, with file and line.
    pub warnings: Vec<String>,
    /// Warnings about keys whose feature is not implemented yet.
    pub not_implemented: Vec<String>,
}

impl Diagnostics {
    /// No errors and no warnings about `file`.
    pub fn new(file: &Path) -> Diagnostics {
        Diagnostics {
            file: file.to_owned(),
            problems: Vec::new(),
            warnings: Vec::new(),
            not_implemented: Vec::new(),
        }
    }

    /// Adds an error; `line` is `None` for the whole file, `key` is empty where it is not about a
    /// key.
    pub fn add(&mut self, line: Option<usize>, key: &str, problem: Error) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            key: (!key.is_empty()).then(|| key.to_owned()),
            text: problem.message().to_owned(),
            hint: problem.hint().map(str::to_owned),
        });
    }

    /// Adds a warning; `line` is `None` for the whole file.
    pub fn warning(&mut self, line: Option<usize>, text: impl fmt::Display) {
        let warning = self.located(line, text);
        self.warnings.push(warning);
    }

    /// Adds a warning about a key whose feature is not implemented yet.
    pub fn not_implemented(&mut self, line: Option<usize>, text: impl fmt::Display) {
        let warning = self.located(line, text);
        self.not_implemented.push(warning);
    }

    /// Whether there is no error; there may be warnings.
    pub fn is_ok(&self) -> bool {
        self.problems.is_empty()
    }

    /// The errors in the order of the file; those about the whole file come first.
    pub fn into_problems(mut self) -> Problems {
        self.problems.sort_by_key(|problem| problem.line);
        Problems(self.problems)
    }

    fn located(&self, line: Option<usize>, text: impl fmt::Display) -> String {
        match line {
            Some(line) => format!("{}:{line}: {text}", self.file.display()),
            None => format!("{}: {text}", self.file.display()),
        }
    }
}

/// An [`ErrorKind::Configuration`] error, for invalid input.
pub(super) fn invalid(text: impl Into<String>) -> Error {
    Error::new(ErrorKind::Configuration, text)
}

/// The candidate with the smallest edit distance to `word`, if at most a third of its letters
/// differ.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The edit distance of two words: insertions, deletions, substitutions and transpositions of
/// adjacent letters (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(128).collect();
    let right: Vec<char> = right.chars().take(128).collect();
    let mut previous: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&row, j) + usize::from(a != b);
            let mut least = replaced.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped =
                i > 0 && j > 0 && left.get(i - 1) == Some(b) && right.get(j - 1) == Some(a);
            if swapped && a != b {
                least = least.min(at(&previous, j - 1) + 1);
            }
            next.push(least);
        }
        previous = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_is_found_and_another_word_is_not() {
        let keys = [
            "base_dir",
            "compression",
            "compression_level",
            "port",
            "host",
        ];
        let rows = [
            ("basedir", Some("base_dir")),
            ("compresion", Some("compression")),
            ("compression-level", Some("compression_level")),
            ("prot", Some("port")),
            ("ports", Some("port")),
            ("colour", None),
            ("", None),
        ];
        for (word, expected) in rows {
            assert_eq!(closest(word, keys.into_iter()), expected, "{word}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
