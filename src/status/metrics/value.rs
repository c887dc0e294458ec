//! Values of samples.

use std::fmt::{self, Write};
use std::time::Duration;

use crate::unit::{Timestamp, to_u64};

/// The value of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// A whole number.
    Integer(u64),
    /// A whole number that may be negative.
    Signed(i64),
    /// Any number.
    Real(f64),
}

/// Decimal, without an exponent.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Integer(value) => value.fmt(f),
            Value::Signed(value) => value.fmt(f),
            Value::Real(value) if value.is_finite() => value.fmt(f),
            // Of a damaged file.
            Value::Real(_) => f.write_str("0"),
        }
    }
}

impl Value {
    /// Adds it to a text, as [`fmt::Display`] prints it: most are 0 or 1.
    pub(super) fn add_to(self, text: &mut String) {
        match self {
            Value::Integer(0) | Value::Signed(0) => text.push('0'),
            Value::Integer(1) => text.push('1'),
            Value::Real(0.0) => text.push('0'),
            // Writing to a string cannot fail.
            other => drop(write!(text, "{other}")),
        }
    }
}

impl From<u64> for Value {
    fn from(value: u64) -> Value {
        Value::Integer(value)
    }
}

impl From<u32> for Value {
    fn from(value: u32) -> Value {
        Value::Integer(value.into())
    }
}

impl From<u16> for Value {
    fn from(value: u16) -> Value {
        Value::Integer(value.into())
    }
}

impl From<usize> for Value {
    fn from(value: usize) -> Value {
        Value::Integer(to_u64(value))
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Value {
        Value::Signed(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Value {
        Value::Integer(value.into())
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Value {
        Value::Real(value)
    }
}

impl From<Duration> for Value {
    /// In seconds, to the millisecond.
    fn from(value: Duration) -> Value {
        let millis = Duration::from_millis(u64::try_from(value.as_millis()).unwrap_or(u64::MAX));
        Value::Real(millis.as_secs_f64())
    }
}

impl From<Timestamp> for Value {
    /// In seconds since 1970 UTC.
    fn from(value: Timestamp) -> Value {
        Value::Signed(value.seconds())
    }
}
