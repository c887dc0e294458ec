//! One row for each repository.

use super::repository::{CRepository, names, rows};

#[test]
fn backups_of_the_c_program_are_listed_verified_and_restored() {
    for name in names() {
        println!("repository {name}");
        let repository = CRepository::new(&name);
        let daemon = &repository.daemon;
        let [first, second] = &repository.labels[..] else {
            panic!("{:?}", repository.labels)
        };
        assert_eq!(daemon.listed("primary"), [first.as_str(), second]);
        for label in [first, second] {
            let info = daemon.cli(&["info", "primary", label, "--format", "json"]);
            let info = &info.ok().json()["Response"];
            assert_eq!(
                (&info["Valid"], &info["Readable"]),
                (&"yes".into(), &true.into())
            );
            daemon.cli(&["verify", "primary", label]).ok();
        }
        daemon.cli(&["verify", "primary", "wal"]).ok();
        let later = format!("lsn={}", repository.info(second, "END_WALPOS"));
        for (label, position, least, exact) in [
            (first, "immediate", (1000, 50), Some((1000, 50))),
            (first, later.as_str(), (1500, 50), Some((1500, 50))),
            (first, "current", (1700, 50), None),
            (second, "immediate", (1500, 50), Some((1500, 50))),
            (second, "current", (1700, 50), None),
        ] {
            let mut restored = repository.restored(label, position);
            let found = rows(&restored);
            assert!(
                found.0 >= least.0 && found.1 >= least.1,
                "{name} {label} {position} {found:?}"
            );
            assert!(
                exact.is_none_or(|exact| found == exact),
                "{name} {label} {position} {found:?}"
            );
            restored.execute("INSERT INTO t0 SELECT FROM generate_series(1, 10)");
            restored.stop();
        }
    }
}
