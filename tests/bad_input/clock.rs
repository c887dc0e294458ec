//! A system clock that is set back.

use crate::harness::{Cluster, Daemon, Faults, Scratch};

#[test]
fn labels_stay_unique_and_ordered_when_the_clock_is_set_back() {
    let scratch = Scratch::new("clock");
    let cluster = Cluster::builder(&scratch).start();
    let faults = Faults::new(&scratch, &scratch.join("nowhere"));
    let mut daemon = faults
        .daemon(Daemon::builder(&scratch).server("primary", &cluster))
        .start_streaming();
    let first = daemon.backup("primary");
    faults.on_with("clock", "-7200");
    daemon.cli(&["backup", "primary"]).ok();
    assert!(faults.happened("clock"));
    let labels = daemon.labels("primary");
    assert_eq!(labels.len(), 2, "{labels:?}");
    assert_eq!(
        labels[0], first,
        "the later backup has the smaller label: {labels:?}"
    );
    assert_eq!(daemon.listed("primary"), labels);

    daemon.stop();
    daemon.start();
    cluster.wait_streaming("pgmoneta");
    daemon.cli(&["backup", "primary"]).ok();
    let after = daemon.labels("primary");
    assert_eq!(after.len(), 3);
    assert_eq!(after[..2], labels);
}
