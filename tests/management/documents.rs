//! The requests of the C client, byte for byte. The responses must have the members of those of the
//! C daemon, with the same types.

use pgmoneta::protocol::{
    ArchiveReply, BackupReply, DeleteReply, InfoReply, ListBackupReply, PingReply, ProgressReply,
    Response, RestoreReply, RetainReply, StatusReply, VerifyReply, members,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::wire::{exchange, frame};
use crate::harness::{Cluster, Daemon, Scratch};

/// A request as the C client of version 0.22 sends it, and the response of the C daemon.
struct Recording {
    request: &'static str,
    response: &'static str,
}

/// The first member of each document, with the code of the command.
macro_rules! header {
    ($command:literal) => {
        concat!(
            r#"{"Header":{"ClientVersion":"0.22.0","Command":"#,
            $command,
            r#","Compression":0,"Encryption":0,"Output":0,"Timestamp":"20261122083323"},"#,
        )
    };
}

const PING: Recording = Recording {
    request: concat!(header!(9), r#""Request":{}}"#),
    response: concat!(
        header!(9),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0000"},"Request":{},"#,
        r#""Response":{"ServerVersion":"0.22.0"}}"#,
    ),
};

const BACKUP: Recording = Recording {
    request: concat!(
        header!(1),
        r#""Request":{"Backup":null,"Server":"primary"}}"#
    ),
    response: concat!(
        header!(1),
        r#""Outcome":{"Status":true,"Time":"00:00:2.0958"},"#,
        r#""Request":{"Backup":null,"Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","BackupSize":13213696,"BiggestFileSize":3805184,"#,
        r#""Compression":18,"Encryption":0,"Incremental":false,"IncrementalParent":null,"#,
        r#""MajorVersion":17,"MinorVersion":10,"RestoreSize":16224256,"Server":"primary","#,
        r#""ServerVersion":"0.22.0","Valid":1}}"#,
    ),
};

const LIST_BACKUP: Recording = Recording {
    request: concat!(
        header!(2),
        r#""Request":{"Server":"primary","Sort":"asc"}}"#
    ),
    response: concat!(
        header!(2),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0006"},"#,
        r#""Request":{"Server":"primary","Sort":"asc"},"#,
        r#""Response":{"Backups":[{"Backup":"20261122082334","BackupSize":13213696,"#,
        r#""BiggestFileSize":3805184,"Comments":null,"Compression":18,"Encryption":0,"#,
        r#""Incremental":false,"IncrementalParent":null,"Keep":false,"RestoreSize":16224256,"#,
        r#""Server":"primary","Valid":1,"WAL":0}],"MajorVersion":17,"MinorVersion":10,"#,
        r#""NumberOfBackups":1,"Server":"primary","ServerVersion":"0.22.0"}}"#,
    ),
};

/// The C program has null in place of the label.
const ARCHIVE: Recording = Recording {
    request: concat!(
        header!(4),
        r#""Request":{"Backup":"newest","Directory":"/archive","Position":null,"#,
        r#""Server":"primary"}}"#,
    ),
    response: concat!(
        header!(4),
        r#""Outcome":{"Status":true,"Time":"00:00:1.8264"},"#,
        r#""Request":{"Backup":"newest","Directory":"/archive","Position":null,"#,
        r#""Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","#,
        r#""FileName":"/archive/archive-primary-20261122082334.tar.zstd","MajorVersion":17,"#,
        r#""MinorVersion":10,"Server":"primary","ServerVersion":"0.22.0"}}"#,
    ),
};

const RESTORE: Recording = Recording {
    request: concat!(
        header!(3),
        r#""Request":{"Backup":"newest","Directory":"/restore","Position":"current,primary","#,
        r#""Server":"primary"}}"#,
    ),
    response: concat!(
        header!(3),
        r#""Outcome":{"Status":true,"Time":"00:00:1.0236"},"#,
        r#""Request":{"Backup":"newest","Directory":"/restore","Position":"current,primary","#,
        r#""Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","BackupSize":13213696,"BiggestFileSize":3805184,"#,
        r#""Comments":null,"Compression":18,"Encryption":0,"Incremental":false,"#,
        r#""IncrementalParent":null,"MajorVersion":17,"MinorVersion":10,"RestoreSize":16224256,"#,
        r#""Server":"primary","ServerVersion":"0.22.0"}}"#,
    ),
};

const INFO: Recording = Recording {
    request: concat!(
        header!(18),
        r#""Request":{"Backup":"newest","Server":"primary"}}"#
    ),
    response: concat!(
        header!(18),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0006"},"#,
        r#""Request":{"Backup":"newest","Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","BackupSize":13213696,"BiggestFileSize":3805184,"#,
        r#""CheckpointHiLSN":0,"CheckpointLoLSN":268435552,"Comments":null,"Compression":18,"#,
        r#""Elapsed":0.000000,"Encryption":0,"EndHiLSN":0,"EndLoLSN":268435712,"EndTimeline":1,"#,
        r#""Keep":false,"MajorVersion":17,"MinorVersion":10,"NumberOfTablespaces":1,"#,
        r#""RestoreSize":16224256,"Server":"primary","ServerVersion":"0.22.0","StartHiLSN":0,"#,
        r#""StartLoLSN":268435496,"StartTimeline":1,"Tablespaces":[{"TablespaceName":"fast"}],"#,
        r#""Valid":1,"WAL":"000000010000000000000010"}}"#,
    ),
};

const DELETE: Recording = Recording {
    request: concat!(
        header!(5),
        r#""Request":{"Backup":"oldest","Force":false,"Server":"primary"}}"#
    ),
    response: concat!(
        header!(5),
        r#""Outcome":{"Status":true,"Time":"00:00:0.1272"},"#,
        r#""Request":{"Backup":"oldest","Force":false,"Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","MajorVersion":17,"MinorVersion":10,"#,
        r#""Server":"primary","ServerVersion":"0.22.0"}}"#,
    ),
};

const RETAIN: Recording = Recording {
    request: concat!(
        header!(12),
        r#""Request":{"Backup":"newest","Cascade":true,"Server":"primary"}}"#
    ),
    response: concat!(
        header!(12),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0112"},"#,
        r#""Request":{"Backup":"newest","Cascade":true,"Server":"primary"},"#,
        r#""Response":{"Backups":["20261122082843","20261122082334"],"Cascade":true,"#,
        r#""Comments":null,"Keep":true,"MajorVersion":17,"MinorVersion":10,"Server":"primary","#,
        r#""ServerVersion":"0.22.0","Valid":1}}"#,
    ),
};

const EXPUNGE: Recording = Recording {
    request: concat!(
        header!(13),
        r#""Request":{"Backup":"newest","Cascade":false,"Server":"primary"}}"#
    ),
    response: concat!(
        header!(13),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0039"},"#,
        r#""Request":{"Backup":"newest","Cascade":false,"Server":"primary"},"#,
        r#""Response":{"Backups":["20261122082334"],"Cascade":false,"Comments":"k2|v2","#,
        r#""Keep":false,"MajorVersion":17,"MinorVersion":10,"Server":"primary","#,
        r#""ServerVersion":"0.22.0","Valid":1}}"#,
    ),
};

const ANNOTATE: Recording = Recording {
    request: concat!(
        header!(20),
        r#""Request":{"Action":"add","Backup":"newest","Comment":"my value","Key":"mykey","#,
        r#""Server":"primary"}}"#,
    ),
    response: concat!(
        header!(20),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0047"},"#,
        r#""Request":{"Action":"add","Backup":"newest","Comment":"my value","Key":"mykey","#,
        r#""Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","BackupSize":13213696,"BiggestFileSize":3805184,"#,
        r#""CheckpointHiLSN":0,"CheckpointLoLSN":268435552,"Comments":"mykey|my value","#,
        r#""Compression":18,"Elapsed":0.000000,"Encryption":0,"EndHiLSN":0,"EndLoLSN":268435712,"#,
        r#""EndTimeline":1,"Keep":false,"MajorVersion":17,"MinorVersion":10,"#,
        r#""NumberOfTablespaces":0,"RestoreSize":16224256,"Server":"primary","#,
        r#""ServerVersion":"0.22.0","StartHiLSN":0,"StartLoLSN":268435496,"StartTimeline":1,"#,
        r#""Tablespaces":{},"Valid":1,"WAL":"000000010000000000000010"}}"#,
    ),
};

const VERIFY: Recording = Recording {
    request: concat!(
        header!(19),
        r#""Request":{"Backup":"oldest","Directory":"/tmp/v","Files":"all","Server":"primary"}}"#,
    ),
    response: concat!(
        header!(19),
        r#""Outcome":{"Status":true,"Time":"00:00:1.5883"},"#,
        r#""Request":{"Backup":"oldest","Directory":"/tmp/v","Files":"all","Server":"primary"},"#,
        r#""Response":{"Backup":"20261122082334","#,
        r#""Files":{"All":[{"Directory":"/tmp/v/primary-20261122082334","FileName":"PG_VERSION","#,
        r#""HashAlgorithm":"SHA512","Original":"a475c2a5"}],"Failed":[{"Calculated":"77d019ab","#,
        r#""Directory":"/tmp/v/primary-20261122082334","FileName":"global/1261","#,
        r#""HashAlgorithm":"SHA512","Original":"492fd51e"}]},"MajorVersion":17,"MinorVersion":10,"#,
        r#""Server":"primary","ServerVersion":"0.22.0"}}"#,
    ),
};

const STATUS: Recording = Recording {
    request: concat!(header!(7), r#""Request":{}}"#),
    response: concat!(
        header!(7),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0006"},"Request":{},"#,
        r#""Response":{"FreeSpace":83955777536,"NumberOfServers":1,"ServerVersion":"0.22.0","#,
        r#""Servers":[{"ActiveArchive":false,"ActiveBackup":false,"ActiveDelete":false,"#,
        r#""ActiveRestore":false,"ActiveRetention":false,"Checksums":false,"HotStandbySize":0,"#,
        r#""NumberOfBackups":1,"Online":true,"Primary":true,"RetentionDays":7,"#,
        r#""RetentionMonths":-1,"RetentionWeeks":-1,"RetentionYears":-1,"Server":"primary","#,
        r#""ServerSize":61255680,"Workers":0,"WorkspaceFreeSpace":0}],"TotalSpace":270553174016,"#,
        r#""UsedSpace":122363904,"Workers":0}}"#,
    ),
};

const STATUS_DETAILS: Recording = Recording {
    request: concat!(header!(8), r#""Request":{}}"#),
    response: concat!(
        header!(8),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0375"},"Request":{},"#,
        r#""Response":{"FreeSpace":83955777536,"NumberOfServers":1,"PgmonetaFips":false,"#,
        r#""ServerVersion":"0.22.0","Servers":[{"ActiveArchive":false,"ActiveBackup":false,"#,
        r#""ActiveDelete":false,"ActiveRestore":false,"ActiveRetention":false,"#,
        r#""Backups":[{"Backup":"20261122082334","BackupSize":13213696,"BiggestFileSize":3805184,"#,
        r#""Comments":null,"Compression":18,"Delta":0,"Encryption":0,"Keep":false,"#,
        r#""RestoreSize":16224256,"Valid":1,"WAL":33554432}],"Checksums":false,"Fips":false,"#,
        r#""HotStandbySize":0,"NumberOfBackups":1,"Online":true,"Primary":true,"RetentionDays":7,"#,
        r#""RetentionMonths":-1,"RetentionWeeks":-1,"RetentionYears":-1,"Server":"primary","#,
        r#""ServerSize":61255680,"WalStreaming":true,"Workers":0,"WorkspaceFreeSpace":0}],"#,
        r#""TotalSpace":270553174016,"UsedSpace":122363904,"Workers":0}}"#,
    ),
};

const PROGRESS: Recording = Recording {
    request: concat!(
        header!(25),
        r#""Request":{"Command":"backup","Server":"primary"}}"#
    ),
    response: concat!(
        header!(25),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0000"},"#,
        r#""Request":{"Command":"backup","Server":"primary"},"#,
        r#""Response":{"Done":7340032,"Elapsed":4,"MajorVersion":17,"MinorVersion":10,"#,
        r#""Percentage":31,"ProgressState":1,"Remaining":{"string_value":"8s","value":8},"#,
        r#""Server":"primary","ServerVersion":"0.22.0","Total":189638656}}"#,
    ),
};

const SHUTDOWN: Recording = Recording {
    request: concat!(header!(6), r#""Request":{}}"#),
    response: concat!(
        header!(6),
        r#""Outcome":{"Status":true,"Time":"00:00:0.0000"},"Request":{}}"#,
    ),
};

/// Members that may be null instead of a string.
const NULLABLE: [&str; 3] = ["Backup", "Comments", "IncrementalParent"];

/// Checks that `found` has every member of `wanted` with its type, and ignores the values.
fn compare(path: &str, wanted: &Value, found: &Value) {
    let name = path.rsplit('.').next().unwrap();
    match (wanted, found) {
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                let path = format!("{path}.{name}");
                let found = found
                    .get(name)
                    .unwrap_or_else(|| panic!("{path} is missing"));
                compare(&path, wanted, found);
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            assert!(!found.is_empty(), "{path}: empty arrays are empty objects");
            for found in found {
                compare(path, &wanted[0], found);
            }
        }
        (Value::Array(_), Value::Object(found)) if found.is_empty() => {}
        (Value::Object(wanted), Value::Array(_)) if wanted.is_empty() => {}
        (Value::String(_) | Value::Null, Value::String(_) | Value::Null)
            if NULLABLE.contains(&name) => {}
        // A backup is verified in place, so the directory is null.
        (Value::String(_), Value::Null) if path.contains(".Files.") => {}
        (Value::Number(wanted), Value::Number(found)) => {
            assert_eq!(wanted.is_f64(), found.is_f64(), "{path}: {found}");
        }
        _ => assert_eq!(
            std::mem::discriminant(wanted),
            std::mem::discriminant(found),
            "{path}: {found} instead of {wanted}"
        ),
    }
}

impl Recording {
    /// Sends the request after the replacements, and compares the response.
    fn replay(&self, daemon: &Daemon, replace: &[(&str, &str)]) -> Value {
        let text = replace
            .iter()
            .fold(self.request.to_owned(), |text, (from, to)| {
                text.replace(from, to)
            });
        let raw = exchange(&daemon.socket(), &frame(&text));
        let found: Value =
            serde_json::from_str(&raw).unwrap_or_else(|error| panic!("{error} in {raw}"));
        let request: Value = serde_json::from_str(&text).unwrap();
        let wanted: Value = serde_json::from_str(self.response).unwrap();
        compare("", &wanted, &found);
        assert_eq!(found["Header"], request["Header"], "the header is echoed");
        assert_eq!(
            found["Request"], request["Request"],
            "the request is echoed"
        );
        assert_eq!(found["Outcome"]["Status"], true);
        assert_eq!(
            wanted.get("Response").is_some(),
            found.get("Response").is_some()
        );
        assert_time(found["Outcome"]["Time"].as_str().unwrap());
        assert_c_json(&raw);
        found
    }
}

/// `HH:MM:S.ffff`
fn assert_time(text: &str) {
    let parts: Vec<&str> = text.split(':').collect();
    let (seconds, fraction) = parts[2].split_once('.').unwrap();
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    assert!(
        parts[0].len() == 2 && parts[1].len() == 2 && fraction.len() == 4,
        "{text}"
    );
    assert!(
        digits(seconds) && (seconds.len() == 1 || !seconds.starts_with('0')),
        "{text}"
    );
}

/// No empty string, no empty array, no white space between tokens, no escape that the C program
/// rejects; members sorted.
fn assert_c_json(raw: &str) {
    for forbidden in ["\"\"", "[]", "\\u", "\\/", "\\'", "\": ", "\n"] {
        assert!(!raw.contains(forbidden), "{forbidden:?} in {raw}");
    }
    let value: Value = serde_json::from_str(raw).unwrap();
    // `Value` sorts members, and prints fractions with fewer than six decimals.
    let again = value.to_string();
    let shortened = raw.len() - again.len();
    assert!(
        shortened <= 7 * raw.matches('.').count(),
        "not sorted or not compact: {raw}"
    );
    assert_eq!(order(raw), order(&again), "members are sorted");
}

/// The names of the members, in order.
fn order(raw: &str) -> Vec<&str> {
    let parts: Vec<&str> = raw.split('"').collect();
    let names = parts.windows(2).filter(|pair| pair[1].starts_with(':'));
    names.map(|pair| pair[0]).collect()
}

#[test]
fn responses_have_the_members_and_types_of_the_c_daemon() {
    let scratch = Scratch::new("documents");
    let cluster = Cluster::builder(&scratch).start();
    let tablespace = scratch.directory("fast");
    cluster.execute(&format!(
        "CREATE TABLESPACE fast LOCATION '{}'",
        tablespace.display()
    ));
    cluster.execute("CREATE TABLE t TABLESPACE fast AS SELECT generate_series(1, 1000) AS n");
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    PING.replay(&daemon, &[]);
    // Without a backup and a running operation.
    PROGRESS.replay(&daemon, &[]);
    LIST_BACKUP.replay(&daemon, &[]);
    STATUS.replay(&daemon, &[]);
    STATUS_DETAILS.replay(&daemon, &[]);
    cluster.wait_streaming("pgmoneta");

    let taken = BACKUP.replay(&daemon, &[]);
    let label = taken["Response"]["Backup"].as_str().unwrap().to_owned();
    assert_eq!(taken["Response"]["Valid"], 1);
    BACKUP.replay(&daemon, &[]);
    let list = LIST_BACKUP.replay(&daemon, &[]);
    assert_eq!(list["Response"]["NumberOfBackups"], 2);
    assert_eq!(list["Response"]["Backups"][0]["Backup"], label.as_str());
    assert_eq!(list["Response"]["Backups"][0]["Delta"], 0);
    assert!(list["Response"]["Backups"][1]["Delta"].as_u64().unwrap() > 0);
    let list = LIST_BACKUP.replay(&daemon, &[("asc", "desc")]);
    assert_eq!(list["Response"]["Backups"][1]["Backup"], label.as_str());

    let info = INFO.replay(&daemon, &[("newest", &label)]);
    assert_eq!(info["Response"]["NumberOfTablespaces"], 1);
    assert!(info["Response"]["Elapsed"].as_f64().unwrap() > 0.0);
    assert_eq!(info["Response"]["WAL"].as_str().unwrap().len(), 24);
    let status = STATUS.replay(&daemon, &[]);
    let server = &status["Response"]["Servers"][0];
    assert_eq!(server["Online"], true);
    assert_eq!(server["Primary"], true);
    assert_eq!(server["NumberOfBackups"], 2);
    STATUS_DETAILS.replay(&daemon, &[]);

    let verified = VERIFY.replay(&daemon, &[("oldest", &label)]);
    assert_eq!(
        verified["Response"]["Files"]["Failed"],
        serde_json::json!({})
    );
    assert!(
        verified["Response"]["Files"]["All"]
            .as_array()
            .unwrap()
            .len()
            > 100
    );
    let directory = scratch.directory("restore");
    let directory = directory.to_str().unwrap();
    let restored = RESTORE.replay(&daemon, &[("/restore", directory)]);
    let target = restored["Response"]["Plan"]["Target"].as_str().unwrap();
    assert!(target.starts_with(directory));
    ARCHIVE.replay(&daemon, &[("/archive", directory)]);
    change_backups(&daemon, &label);
    SHUTDOWN.replay(&daemon, &[]);
}

fn change_backups(daemon: &Daemon, oldest: &str) {
    let annotated = ANNOTATE.replay(daemon, &[]);
    assert_eq!(annotated["Response"]["Comments"], "mykey|my value");
    let retained = RETAIN.replay(daemon, &[]);
    assert_eq!(retained["Response"]["Keep"], true);
    EXPUNGE.replay(daemon, &[]);
    let deleted = DELETE.replay(daemon, &[]);
    assert_eq!(deleted["Response"]["Backup"], oldest);
}

#[test]
fn the_c_client_gets_no_apostrophes() {
    let scratch = Scratch::new("quotes");
    let cluster = Cluster::builder(&scratch).create();
    let daemon = Daemon::builder(&scratch)
        .server("primary", &cluster)
        .start();
    let request = INFO.request.replace("newest", "it's");
    let raw = exchange(&daemon.socket(), &frame(&request));
    let response: Value = serde_json::from_str(&raw).unwrap();
    assert_eq!(
        response["Request"]["Backup"], "it's",
        "the request is echoed"
    );
    let message = response["Outcome"]["Message"].as_str().unwrap();
    assert!(message.contains("it\u{2019}s"), "{message}");
    let status = exchange(&daemon.socket(), &frame(STATUS.request));
    let status: Value = serde_json::from_str(&status).unwrap();
    let workers = &status["Response"]["Workers"];
    assert_eq!(workers, 0, "the number is that of the configuration");
    assert_eq!(&status["Response"]["Servers"][0]["Workers"], workers);
    // The client of this program accepts apostrophes.
    let output = daemon.cli(&["-F", "json", "info", "primary", "it's"]);
    let message = output.json()["Outcome"]["Message"].to_string();
    assert!(message.contains("it's"), "{message}");
}

/// The typed documents have the members of the C daemon by the same names: none is lost where a
/// response is read and written again.
#[test]
fn the_client_reads_every_member_of_the_c_daemon() {
    read_and_write::<PingReply>(&PING);
    read_and_write::<BackupReply>(&BACKUP);
    read_and_write::<ListBackupReply>(&LIST_BACKUP);
    read_and_write::<RestoreReply>(&RESTORE);
    read_and_write::<ArchiveReply>(&ARCHIVE);
    read_and_write::<InfoReply>(&INFO);
    read_and_write::<InfoReply>(&ANNOTATE);
    read_and_write::<DeleteReply>(&DELETE);
    read_and_write::<RetainReply>(&RETAIN);
    read_and_write::<RetainReply>(&EXPUNGE);
    read_and_write::<VerifyReply>(&VERIFY);
    read_and_write::<StatusReply>(&STATUS);
    read_and_write::<StatusReply>(&STATUS_DETAILS);
    read_and_write::<ProgressReply>(&PROGRESS);
    let verify: VerifyReply = Response::read(VERIFY.response).unwrap().reply().unwrap();
    let failure = verify.failure().unwrap();
    assert!(failure.message().contains("1 file is bad"), "{failure}");
    let status: StatusReply = Response::read(STATUS.response).unwrap().reply().unwrap();
    assert!(status.failure().is_none(), "the C daemon does not tell");
}

fn read_and_write<T: Serialize + DeserializeOwned>(recording: &Recording) {
    let response = Response::read(recording.response).unwrap();
    let reply: T = response.reply().unwrap();
    let mut wanted = response.members();
    if std::any::type_name::<T>() != std::any::type_name::<PingReply>() {
        // The response has it, not the reply of the command.
        wanted.remove("ServerVersion");
    }
    assert_has("", &wanted.into(), &members(&reply).unwrap().into());
}

fn assert_has(path: &str, wanted: &Value, found: &Value) {
    match (wanted, found) {
        (Value::Object(wanted), Value::Array(found)) if wanted.is_empty() && found.is_empty() => {}
        (Value::Object(wanted), Value::Object(found)) => {
            for (name, wanted) in wanted {
                let path = format!("{path}.{name}");
                let found = found.get(name);
                assert_has(&path, wanted, found.unwrap_or(&Value::Object(Map::new())));
            }
        }
        (Value::Array(wanted), Value::Array(found)) => {
            assert_eq!(wanted.len(), found.len(), "{path}");
            for (wanted, found) in wanted.iter().zip(found) {
                assert_has(path, wanted, found);
            }
        }
        // The writer of documents makes null of an empty string.
        (Value::Null, Value::String(found)) => assert_eq!(found, "", "{path}"),
        _ => assert_eq!(wanted, found, "{path}"),
    }
}
