//! The receiver of one server is stopped and started again while others go on.

use pgmoneta::daemon::Receivers;
use pgmoneta::status::Phase;

use super::setup::{Receiver, write_wal};
use crate::harness::{Cluster, Scratch};

const CREATE: &str = "create_slot = yes";
const KEEP: &str = "wal_keep_size = '4GB'\nmax_wal_size = '4GB'\n";

#[test]
fn a_receiver_is_stopped_and_started_alone_and_nothing_is_lost() {
    let scratch = Scratch::new("wal-alone");
    let clusters = ["one", "other"].map(|name| {
        let builder = Cluster::builder(&scratch).name(name).conf(KEEP);
        builder.wal_segment_mib(1).start()
    });
    let [one, other] = &clusters;
    let [first, second] = clusters
        .each_ref()
        .map(|cluster| Receiver::new(&scratch, cluster, "compression = zstd", CREATE));
    let mut receivers = Receivers::default();
    for receiver in [&first, &second] {
        receivers.start(&receiver.context).unwrap();
        receiver.wait_streaming();
    }
    write_wal(one, 3);
    let before = first.wait_flushed(one);
    receivers.stop(&first.context.server.name);
    assert_eq!(first.state().phase, Phase::Stopped);
    let names = first.names();
    let temporary = |name: &&String| name.starts_with('.');
    assert_eq!(names.iter().find(temporary), None, "something still writes");

    write_wal(one, 3);
    write_wal(other, 3);
    second.wait_flushed(other);
    assert!(second.state().is_streaming() && !second.context.stop.requested());
    assert!(first.state().flushed >= before && first.names() == names);
    let online = [&first, &second].map(|receiver| receiver.state().is_streaming());
    assert_eq!(online, [false, true]);

    receivers.start(&first.context).unwrap();
    receivers.start(&first.context).unwrap();
    first.wait_streaming();
    write_wal(one, 2);
    one.execute("SELECT pg_switch_wal()");
    first.wait_flushed(one);
    for receiver in [&first, &second] {
        receiver.wait_sealed();
    }
    receivers.stop_all();
    for (receiver, cluster) in [(&first, one), (&second, other)] {
        assert_eq!(receiver.state().phase, Phase::Stopped);
        assert!(receiver.compare(cluster) >= 3);
    }
}
