//! What is wrong with the configuration, all of it at once.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Failure, Kind};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub file: PathBuf,
    /// The line, if it is about one.
    pub line: Option<usize>,
    /// The key or section, if it is about one.
    pub key: Option<String>,
    /// What is wrong.
    pub text: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    /// `file:line: key: what is wrong`
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

/// Everything that is wrong with the configuration, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// As one failure: the first problem, and how many more there are.
    pub fn into_failure(self) -> Failure {
        let mut problems = self.0.into_iter();
        let Some(first) = problems.next() else {
            return Failure::new(Kind::Internal, "the configuration has no problem");
        };
        let failure = match problems.len() {
            0 => Failure::new(Kind::Configuration, first.to_string()),
            more => Failure::new(Kind::Configuration, format!("{first} (and {more} more)"))
                .hint("see all of them with: pgmoneta --check-config"),
        };
        match first.hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl fmt::Display for Problems {
    /// Each problem on a line, a hint on the line after it.
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

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Failure {
        problems.into_failure()
    }
}

/// What is found while a file is read and checked.
#[derive(Debug)]
pub(super) struct Findings {
    file: PathBuf,
    problems: Vec<Problem>,
    /// What is odd, but not wrong.
    pub warnings: Vec<String>,
    /// What belongs to a feature that is not there yet.
    pub not_yet: Vec<String>,
}

impl Findings {
    /// Nothing found yet in `file`.
    pub fn new(file: &Path) -> Findings {
        Findings {
            file: file.to_owned(),
            problems: Vec::new(),
            warnings: Vec::new(),
            not_yet: Vec::new(),
        }
    }

    /// Notes a problem with a line and a key; a `line` of `None` is the whole file, an empty `key` none.
    pub fn add(&mut self, line: Option<usize>, key: &str, problem: Failure) {
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            key: (!key.is_empty()).then(|| key.to_owned()),
            text: problem.message().to_owned(),
            hint: problem.advice().map(str::to_owned),
        });
    }

    /// Notes a warning about a line.
    pub fn warning(&mut self, line: Option<usize>, text: impl fmt::Display) {
        let warning = self.place(line, text);
        self.warnings.push(warning);
    }

    /// Notes something whose feature is not there yet.
    pub fn not_yet(&mut self, line: Option<usize>, text: impl fmt::Display) {
        let warning = self.place(line, text);
        self.not_yet.push(warning);
    }

    /// Whether no problem was found.
    pub fn fine(&self) -> bool {
        self.problems.is_empty()
    }

    /// The problems, in the order of the file; those about the whole file come first.
    pub fn into_problems(mut self) -> Problems {
        self.problems.sort_by_key(|problem| problem.line);
        Problems(self.problems)
    }

    fn place(&self, line: Option<usize>, text: impl fmt::Display) -> String {
        match line {
            Some(line) => format!("{}:{line}: {text}", self.file.display()),
            None => format!("{}: {text}", self.file.display()),
        }
    }
}

/// A problem of the configuration.
pub(super) fn wrong(text: impl Into<String>) -> Failure {
    Failure::new(Kind::Configuration, text)
}
