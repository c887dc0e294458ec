//! Tests of the harness: each check must also be able to fail.

use std::fs;
use std::os::unix::fs::FileExt;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;

use super::{
    Cluster, Load, MAJORS, Process, Reference, SUPERUSER, Scratch, assert_all_there, assert_sound,
    check_pages, client, installed, run, user,
};

/// A cluster of each version starts, runs queries, and passes the checks; a damaged page fails
/// them.
#[test]
fn clusters_work_and_damage_is_found() {
    for major in MAJORS
        .into_iter()
        .filter(|major| installed(*major).is_some())
    {
        let scratch = Scratch::new("self");
        let mut cluster = Cluster::builder(&scratch).major(major).start();
        cluster.execute(
            "CREATE TABLE t AS SELECT g AS n, repeat('x', 100) AS x FROM \
            generate_series(1, 2000) g",
        );
        cluster.execute("CREATE INDEX ON t (n)");
        let file = cluster.relation_path("t");
        assert_eq!(cluster.count("t"), 2000);
        assert_sound(&cluster);
        cluster.kill();
        cluster.start();
        assert_eq!(cluster.count("t"), 2000);
        cluster.stop();
        let pages = check_pages(cluster.data());
        assert!(pages.checked > 500, "PostgreSQL {major}: {pages:?}");
        assert!(pages.bad.is_empty(), "PostgreSQL {major}: {pages:?}");

        let file = fs::File::options()
            .write(true)
            .open(cluster.data().join(file))
            .unwrap();
        file.write_all_at(b"!", 8192 + 4000).unwrap();
        assert_eq!(check_pages(cluster.data()).bad.len(), 1);
    }
}

/// A standby streams and can be promoted.
#[test]
fn standbys_stream_and_promote() {
    let scratch = Scratch::new("standby");
    let mut primary = Cluster::builder(&scratch).start();
    let standby = primary.standby(&scratch, "standby");
    primary.execute("CREATE TABLE t AS SELECT 1 AS n");
    standby.wait_true("SELECT n = 1 FROM t", 30);
    primary.stop();
    standby.promote();
    standby.execute("INSERT INTO t VALUES (2)");
    standby.execute("CHECKPOINT");
    let timeline: i32 = standby.query_value("SELECT timeline_id FROM pg_control_checkpoint()");
    assert_eq!(timeline, 2);
}

/// The comparison of WAL accepts the archive of pg_receivewal, but no missing or changed WAL.
#[test]
fn missing_and_wrong_wal_is_found() {
    let scratch = Scratch::new("reference");
    let archive = scratch.directory("archive");
    let wal = scratch.directory("wal");
    let cluster = Cluster::builder(&scratch)
        .wal_segment_mib(1)
        .conf(&format!(
            "archive_mode = on\narchive_command = 'cp %p {0}/%f.new && mv {0}/%f.new {0}/%f'",
            archive.display()
        ))
        .start();
    let receiver = user()
        .command(client("pg_receivewal"))
        .args(["-U", SUPERUSER, "-p", &cluster.port().to_string(), "-h"])
        .arg(cluster.sockets())
        .arg("-D")
        .arg(&wal)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut receiver = Process::new(receiver, "pg_receivewal");
    cluster.wait_streaming("pg_receivewal");
    cluster.execute("CREATE TABLE t AS SELECT md5(g::text) FROM generate_series(1, 60000) g");
    let written = cluster.flush_lsn();
    let received = format!("SELECT write_lsn >= '{written}' FROM pg_stat_replication");
    cluster.wait_true(&received, 30);
    receiver.signal(Signal::INT);
    receiver.wait(30);

    let mut reference = Reference::new(&cluster, &archive);
    reference.check(&wal, written);
    let names = |file: &fs::DirEntry| file.file_name().into_string().unwrap();
    let mut segments: Vec<_> = fs::read_dir(&wal)
        .unwrap()
        .map(|file| names(&file.unwrap()))
        .collect();
    segments.sort();
    assert!(segments.len() > 3, "{segments:?}");
    let mut refuses = |what: &str| {
        reference.reset();
        let checked = catch_unwind(AssertUnwindSafe(|| reference.check(&wal, written)));
        assert!(checked.is_err(), "{what} was not seen");
    };
    let middle = wal.join(&segments[1]);
    let good = fs::read(&middle).unwrap();
    let mut bad = good.clone();
    bad[500_000] ^= 1;
    fs::write(&middle, &bad).unwrap();
    refuses("a wrong byte");
    fs::remove_file(&middle).unwrap();
    refuses("a gap");
    fs::write(&middle, &good).unwrap();
    fs::remove_file(wal.join(segments.pop().unwrap())).unwrap();
    refuses("a missing end");
}

/// The clients count their commits, and a missing row is found.
#[test]
fn missing_transactions_are_found() {
    let scratch = Scratch::new("load");
    let mut cluster = Cluster::builder(&scratch).start();
    let load = Load::start(&cluster, 7, 2, Duration::ZERO);
    load.wait_begun(&cluster, 7);
    cluster.kill();
    let acknowledged = load.finish();
    assert!(
        acknowledged.iter().all(|count| *count > 0),
        "{acknowledged:?}"
    );
    cluster.start();
    assert_all_there(&cluster, 7, &acknowledged);
    let refuses = |sql: &str| {
        cluster.execute(sql);
        let checked = catch_unwind(AssertUnwindSafe(|| {
            assert_all_there(&cluster, 7, &acknowledged)
        }));
        assert!(checked.is_err(), "{sql} was not seen");
    };
    let last = acknowledged[1] - 1;
    refuses(&format!(
        "DELETE FROM acknowledged WHERE client = 1 AND n >= {last}"
    ));
    refuses("DELETE FROM acknowledged WHERE client = 0 AND n = 0");
}

/// Faults occur when they are switched on, and only then.
#[cfg(target_os = "linux")]
#[test]
fn faults_occur() {
    use super::{Faults, write_owned};

    let scratch = Scratch::new("faults");
    let below = scratch.directory("below");
    let faults = Faults::new(&scratch, &below);
    write_owned(&below.join("file"), "x");
    let path = below.join("file");
    let works = |program: &str, arguments: &[&str]| {
        let mut command = user().command(program);
        command.args(arguments).envs(faults.environment());
        command.stderr(Stdio::null()).status().unwrap().success()
    };
    let file = path.to_str().unwrap();
    let write = format!("echo x >{file}");
    for (fault, program, arguments) in [
        ("sync", "sync", &[file][..]),
        ("full", "sh", &["-c", &write]),
    ] {
        assert!(works(program, arguments));
        faults.on(fault);
        assert!(!works(program, arguments), "{fault} does not happen");
        assert!(faults.happened(fault));
        let times = faults.times(fault);
        assert!(!works(program, arguments) && faults.times(fault) > times);
        faults.off(fault);
        assert!(works(program, arguments));
    }
    faults.on_with("clock", "-864000");
    let mut date = user().command("date");
    let now = run(date.arg("+%s").envs(faults.environment()));
    let now: u64 = now.trim().parse().unwrap();
    let real = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    assert!((real - now).abs_diff(864_000) < 60);
}

/// Calls are counted, and a process is killed or waits at the chosen one.
#[cfg(target_os = "linux")]
#[test]
fn calls_are_counted_and_hit() {
    use super::{Call, Faults};

    let scratch = Scratch::new("steps");
    let below = scratch.directory("below");
    let faults = Faults::new(&scratch, &below);
    let path = |name: &str| below.join(name);
    let start = || {
        let (one, two, last) = (path("one"), path("two"), path("last"));
        let script = format!(
            "echo 1234567 >{}; echo 1234567 >{}; mv {1} {}",
            one.display(),
            two.display(),
            last.display()
        );
        let mut shell = user().command("sh");
        let shell = shell.args(["-c", &script]).envs(faults.environment());
        Process::new(shell.spawn().unwrap(), "sh")
    };
    let counted = |call: Call| faults.steps.counted()[call as usize];
    faults.steps.count("/below/");
    assert!(start().wait(30).success());
    assert_eq!((counted(Call::Create), counted(Call::Write)), (2, 2));
    assert!(path("last").exists());
    faults.steps.count("/two");
    assert!(start().wait(30).success());
    assert_eq!((counted(Call::Create), counted(Call::Write)), (1, 1));

    fs::remove_file(path("last")).unwrap();
    faults.steps.kill_at("", Call::Write, 2);
    assert!(!start().wait(30).success());
    assert!(faults.steps.reached());
    assert_eq!(fs::read(path("one")).unwrap(), b"1234567\n");
    assert_eq!(fs::read(path("two")).unwrap(), b"1234", "half of it");
    assert!(!path("last").exists());

    faults.steps.hold_at("/two", Call::Write, 1);
    let mut shell = start();
    faults.steps.wait_reached();
    assert_eq!(fs::read(path("two")).unwrap(), b"");
    assert!(shell.ended().is_none());
    faults.steps.release();
    assert!(shell.wait(30).success());
    assert!(path("last").exists());
    // A number beyond the last call has no effect.
    faults.steps.kill_at("", Call::Write, 3);
    assert!(start().wait(30).success());
    assert!(!faults.steps.reached());
}

/// A small disk fills up, and is unmounted on drop.
#[cfg(target_os = "linux")]
#[test]
fn a_small_disk_fills() {
    use super::SmallDisk;

    let scratch = Scratch::new("small");
    let path = scratch.directory("disk");
    let Some(disk) = SmallDisk::mount(&path, 16) else {
        return;
    };
    disk.leave(4);
    fs::write(path.join("half"), vec![1; 500_000]).unwrap();
    let error = fs::write(path.join("more"), vec![1; 8_000_000]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    disk.give_back();
    fs::write(path.join("more"), vec![1; 8_000_000]).unwrap();
    drop(disk);
    assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
}
