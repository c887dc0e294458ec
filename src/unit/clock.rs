//! The wall clock.

/// The local time as `YYYYMMDDHHMMSS`, as the management documents have it.
pub fn timestamp() -> String {
    jiff::Zoned::now().strftime("%Y%m%d%H%M%S").to_string()
}
