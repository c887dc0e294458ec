//! `strftime` patterns in local time.

use jiff::Zoned;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};

use crate::error::{Failure, Kind, Result};

/// The longest text that a pattern may become, in bytes.
const LONGEST: usize = 1023;

/// What `pattern` becomes at `time`.
pub(super) fn expand(pattern: &str, time: &Zoned) -> Result<String> {
    let wrong = |what: &str| {
        Failure::new(
            Kind::Configuration,
            format!("{pattern:?} is not a strftime pattern: {what}"),
        )
    };
    let config = Config::new().custom(PosixCustom::new());
    let mut text = String::new();
    BrokenDownTime::from(time)
        .format_with_config(&config, pattern, &mut text)
        .map_err(|error| wrong(&error.to_string()))?;
    if text.len() > LONGEST {
        return Err(wrong(&format!("it becomes longer than {LONGEST} bytes")));
    }
    Ok(text)
}

/// Refuses what is not a `strftime` pattern.
pub fn check_pattern(pattern: &str) -> Result<()> {
    expand(pattern, &Zoned::now()).map(|_| ())
}
