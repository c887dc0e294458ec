//! WAL of a version of PostgreSQL that nobody knew when this was written: what needs no record of it works, what does is
//! refused for that reason.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::story::Story;

/// Makes the WAL in the repository look like that of a later version: the checksums of records do not cover page headers.
fn make_newer(story: &Story) {
    for entry in std::fs::read_dir(story.daemon.wal("primary")).unwrap() {
        let path = entry.unwrap().path();
        let file = File::options().read(true).write(true).open(&path).unwrap();
        for page in (0..file.metadata().unwrap().len()).step_by(8192) {
            let mut magic = [0; 2];
            file.read_exact_at(&mut magic, page).unwrap();
            if magic != [0, 0] {
                file.write_all_at(&0xD134u16.to_le_bytes(), page).unwrap();
            }
        }
    }
}

#[test]
fn what_needs_no_record_of_an_unknown_version_works_and_what_does_is_refused_for_that_reason() {
    let mut story = Story::new(crate::harness::server().0, "compression = none");
    let lsn = story.of(4).lsn.clone();
    story.daemon.stop();
    story.cluster.stop();
    make_newer(&story);
    story.daemon.start();
    let dry = |backup: &str, position: &str| {
        let arguments = ["restore", "primary", backup, position, "/tmp", "--dry-run"];
        story.daemon.cli(&arguments)
    };
    for position in ["current", "immediate", &format!("lsn={lsn}")] {
        let output = dry("newest", position).ok();
        assert!(output.stdout.contains(&story.b), "{output}");
        assert!(output.stdout.contains("page magic D134"), "{output}");
    }
    for position in [
        format!("time={}", story.of(4).time),
        format!("xid={}", story.of(4).xid),
        "name=later".to_owned(),
    ] {
        for backup in ["newest", story.a.as_str()] {
            dry(backup, &position)
                .fails(1, "newer version of PostgreSQL")
                .fails(1, "lsn= it can be restored");
        }
    }
}
