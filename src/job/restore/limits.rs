//! The limits that recovery needs: where they are lower than those of the server that wrote the
//! WAL, PostgreSQL 14 and later pause before the target, and 13 shuts down
//! (`CheckRequiredParameterValues`, PostgreSQL 18 `xlogrecovery.c`).

use super::configuration::{Configuration, SettingState};
use super::scan::max_limits;
use super::settings::{PermanentSetting, Setting};
use crate::format::{ControlFile, LIMITS};

/// The defaults of PostgreSQL 13 to 18, in the order of [`LIMITS`].
const DEFAULTS: [i32; 5] = [100, 8, 10, 0, 64];

/// The limits that must be set. They remain after recovery: standbys of the restored server need
/// them until it is restarted.
///
/// `control` is the control file of the backup, `changed` has the highest limits in the replayed
/// WAL.
pub(super) fn required(
    configuration: &Configuration,
    control: Option<ControlFile>,
    changed: Option<[i32; 5]>,
) -> Vec<PermanentSetting> {
    let started = control.map(|control| control.parameters.limits);
    let needed = match (started, changed) {
        (Some(started), Some(changed)) => max_limits(started, changed),
        (one, other) => one.or(other).unwrap_or([0; 5]),
    };
    let rows = LIMITS.into_iter().zip(DEFAULTS).zip(needed);
    let rows = rows.filter(|((name, default), needed)| {
        let configured = match configuration.get(name) {
            SettingState::Unset => Some(*default),
            SettingState::Set(value) => number(value),
            SettingState::Unknown => None,
        };
        *needed > 0 && configured.is_none_or(|configured| configured < *needed)
    });
    rows.map(|((name, _), needed)| PermanentSetting {
        setting: Setting::new(name, needed.to_string()),
        why: "recovery needs at least this value, with which the WAL was written".to_owned(),
    })
    .collect()
}

/// Parses a decimal number; `None` for other forms that PostgreSQL accepts (`parse_int`, PostgreSQL
/// 18 `guc.c`).
fn number(value: &[u8]) -> Option<i32> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::TestFiles;
    use super::*;
    use crate::format::Parameters;

    fn required_with(
        main: &'static str,
        control: [i32; 5],
        changed: Option<[i32; 5]>,
    ) -> Vec<String> {
        let files = TestFiles(vec![("postgresql.conf", main)]);
        let configuration = Configuration::read(&files).unwrap();
        let control = ControlFile {
            system_identifier: 7,
            parameters: Parameters {
                limits: control,
                wal_level: 1,
            },
        };
        let found = required(&configuration, Some(control), changed);
        found
            .iter()
            .map(|permanent| permanent.setting.to_string())
            .collect()
    }

    #[test]
    fn limits_that_are_too_low_are_raised() {
        assert_eq!(required_with("", DEFAULTS, None), [""; 0]);
        assert_eq!(
            required_with("max_connections = 40", [40, 8, 10, 0, 64], None),
            [""; 0]
        );
        assert_eq!(
            required_with(
                "max_connections = 40\nmax_wal_senders = 50",
                [40, 8, 10, 0, 64],
                Some([200, 4, 20, 5, 64])
            ),
            ["max_connections = 200", "max_prepared_transactions = 5"]
        );
        // Set on the command line.
        assert_eq!(
            required_with("", [100, 8, 10, 0, 128], None),
            ["max_locks_per_transaction = 128"]
        );
        assert_eq!(
            required_with("include '/x'", DEFAULTS, None).len(),
            4,
            "unknown limits are written"
        );
    }
}
