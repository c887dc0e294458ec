//! The values of keys that no feature uses: they are checked and kept as text.

use super::problem::invalid;
use super::value::{Limits, Value, ValueKind, find, items, words};
use crate::error::Result;
use crate::unit::Names;

/// One of these words.
pub(super) struct OneOf(pub &'static [Names], pub &'static str);

impl Value for OneOf {
    fn kind(&self) -> ValueKind {
        ValueKind::Enum(words(self.0))
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        self.1 = find(text, self.0)?.0;
        Ok(())
    }

    fn get(&self) -> String {
        String::from(self.1)
    }
}

/// Any of these words.
pub(super) struct AnyOf(pub &'static [Names], pub Vec<&'static str>);

impl Value for AnyOf {
    fn kind(&self) -> ValueKind {
        ValueKind::EnumList(words(self.0))
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        let read = items(text, ',').into_iter().map(|item| find(item, self.0));
        self.1 = words(&read.collect::<Result<Vec<_>>>()?);
        Ok(())
    }

    fn get(&self) -> String {
        self.1.join(",")
    }
}

/// Items separated by this character, at most this many.
pub(super) struct Items(pub char, pub usize, pub Vec<String>);

impl Value for Items {
    fn kind(&self) -> ValueKind {
        ValueKind::List(self.0)
    }

    fn set(&mut self, text: &str, _: Limits) -> Result<()> {
        let (items, max) = (items(text, self.0), self.1);
        if items.len() > max {
            let count = items.len();
            return Err(invalid(format!(
                "{count} items exceed the maximum of {max}"
            )));
        }
        self.2 = items.into_iter().map(str::to_owned).collect();
        Ok(())
    }

    fn get(&self) -> String {
        self.2.join(&self.0.to_string())
    }
}

pub(super) const STORAGE: &[Names] = &[("local", &[]), ("ssh", &[]), ("s3", &[]), ("azure", &[])];

pub(super) const HUGEPAGE: &[Names] = &[("off", &[]), ("try", &[]), ("on", &[])];

pub(super) const DIRECT_IO: &[Names] = &[("off", &[]), ("auto", &["try"]), ("on", &[])];

pub(super) const LIBEV: &[Names] = &[
    ("auto", &[]),
    ("select", &[]),
    ("poll", &[]),
    ("epoll", &[]),
    ("iouring", &[]),
    ("devpoll", &[]),
    ("port", &[]),
    ("linuxaio", &[]),
];

pub(super) const TITLE: &[Names] = &[
    ("verbose", &["full"]),
    ("never", &["off"]),
    ("strict", &[]),
    ("minimal", &[]),
];
