//! The limits that recovery needs: PostgreSQL 14 and later stop short of the target where they are lower than those of
//! the server that wrote the WAL, 13 ends (`CheckRequiredParameterValues`, PostgreSQL 18 `xlogrecovery.c`).

use super::configuration::{Configuration, Known};
use super::scan::higher;
use super::settings::{Lasting, Setting};
use crate::format::{ControlFile, LIMITS};

/// What PostgreSQL 13 to 18 take where nothing is set, in the order of [`LIMITS`].
const DEFAULTS: [i32; 5] = [100, 8, 10, 0, 64];

/// The limits that must be set. They stay: the server had them at the target, and standbys of the restored server must
/// have them as long as it runs with them, which is until it is started again.
///
/// `control` is what the backup's control file says, `changed` what WAL says that is replayed.
pub(super) fn needed(
    configuration: &Configuration,
    control: Option<ControlFile>,
    changed: Option<[i32; 5]>,
) -> Vec<Lasting> {
    let started = control.map(|control| control.parameters.limits);
    let needed = match (started, changed) {
        (Some(started), Some(changed)) => higher(started, changed),
        (one, other) => one.or(other).unwrap_or([0; 5]),
    };
    let rows = LIMITS.into_iter().zip(DEFAULTS).zip(needed);
    let rows = rows.filter(|((name, default), needed)| {
        let configured = match configuration.get(name) {
            Known::Unset => Some(*default),
            Known::Set(value) => number(value),
            Known::Unknown => None,
        };
        *needed > 0 && configured.is_none_or(|configured| configured < *needed)
    });
    rows.map(|((name, _), needed)| Lasting {
        setting: Setting::new(name, needed.to_string()),
        why: "WAL that is recovered was written with this value, and is replayed with no lower one"
            .to_owned(),
    })
    .collect()
}

/// A number as PostgreSQL reads it (`parse_int`, PostgreSQL 18 `guc.c`), of the usual ones.
fn number(value: &[u8]) -> Option<i32> {
    std::str::from_utf8(value).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::configuration::tests::These;
    use super::*;
    use crate::format::Parameters;

    fn needed_with(
        main: &'static str,
        control: [i32; 5],
        changed: Option<[i32; 5]>,
    ) -> Vec<String> {
        let files = These(vec![("postgresql.conf", main)]);
        let configuration = Configuration::read(&files).unwrap();
        let control = ControlFile {
            parameters: Parameters {
                limits: control,
                wal_level: 1,
            },
        };
        let found = needed(&configuration, Some(control), changed);
        found
            .iter()
            .map(|lasting| lasting.setting.to_string())
            .collect()
    }

    #[test]
    fn what_is_too_low_is_raised() {
        assert_eq!(needed_with("", DEFAULTS, None), [""; 0]);
        assert_eq!(
            needed_with("max_connections = 40", [40, 8, 10, 0, 64], None),
            [""; 0]
        );
        assert_eq!(
            needed_with(
                "max_connections = 40\nmax_wal_senders = 50",
                [40, 8, 10, 0, 64],
                Some([200, 4, 20, 5, 64])
            ),
            ["max_connections = 200", "max_prepared_transactions = 5"]
        );
        // Set on the command line.
        assert_eq!(
            needed_with("", [100, 8, 10, 0, 128], None),
            ["max_locks_per_transaction = 128"]
        );
        assert_eq!(
            needed_with("include '/x'", DEFAULTS, None).len(),
            4,
            "what is not known is written"
        );
    }
}
