//! The wall clock.

/// The local time as `YYYYMMDDHHMMSS`, for the management documents.
pub fn local_timestamp() -> String {
    jiff::Zoned::now().strftime("%Y%m%d%H%M%S").to_string()
}
