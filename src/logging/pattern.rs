//! Expansion of `strftime` patterns in local time.

use jiff::Zoned;
use jiff::fmt::strtime::{BrokenDownTime, Config, PosixCustom};

use crate::error::{Error, ErrorKind, Result};

/// The maximum length of an expanded pattern, in bytes.
const MAX_LENGTH: usize = 1023;

/// Expands `pattern` for `time`.
pub(super) fn expand(pattern: &str, time: &Zoned) -> Result<String> {
    let invalid = |what: &str| {
        Error::new(
            ErrorKind::Configuration,
            format!("{pattern:?} is not a strftime pattern: {what}"),
        )
    };
    let config = Config::new().custom(PosixCustom::new());
    let mut text = String::new();
    BrokenDownTime::from(time)
        .format_with_config(&config, pattern, &mut text)
        .map_err(|error| invalid(&error.to_string()))?;
    if text.len() > MAX_LENGTH {
        return Err(invalid(&format!(
            "its expansion is longer than {MAX_LENGTH} bytes"
        )));
    }
    Ok(text)
}

/// Fails if the text is not a `strftime` pattern.
pub fn check_pattern(pattern: &str) -> Result<()> {
    expand(pattern, &Zoned::now()).map(|_| ())
}
