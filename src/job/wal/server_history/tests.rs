use super::*;
use crate::unit::SegmentSize;

fn timeline(number: u32) -> Timeline {
    Timeline::new(number).unwrap()
}

fn server_history(number: u32, text: &str) -> ServerHistory {
    ServerHistory {
        history: TimelineHistory::parse(timeline(number), text.as_bytes()).unwrap(),
        content: Some(text.as_bytes().to_vec()),
    }
}

/// An archive in a directory that is removed on drop.
struct Scratch(WalDirectory);

impl Scratch {
    fn new(name: &str) -> Scratch {
        let path = std::env::temp_dir().join(format!("pgmoneta-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        Scratch(WalDirectory::new(&path, SegmentSize::new(1 << 20).unwrap()))
    }

    fn history(&self, number: u32, text: &str) {
        let content = text.as_bytes();
        self.0.store_history(timeline(number), content).unwrap();
    }

    /// The error message for a server with this history.
    fn check(&self, number: u32, text: &str) -> Option<String> {
        match server_history(number, text).check(&self.0) {
            Ok(()) => None,
            Err(ReceiveError::NeedsOperator(failure)) => Some(failure.message().to_owned()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(self.0.path());
    }
}

#[test]
fn a_timeline_that_both_have_must_have_the_same_history() {
    let scratch = Scratch::new("server_history");
    scratch.history(2, "1\t0/500148\tours\n");
    scratch.history(4, "1\t0/500148\tours\n\n2\t0/900000\tours\n");
    for (number, text) in [
        (1, ""),
        (2, "1\t0/500148\tanother reason\n"),
        (3, "1\t0/300000\tx\n"),
        (3, "1\t0/500148\tx\n2\t0/700000\tx\n"),
        (5, "1\t0/500148\tx\n2\t0/900000\tx\n4\t0/800000\tx\n"),
        (7, "6\t0/500148\tx\n"),
        // The server has no history of timeline 2.
        (3, "2\t0/700000\tx\n"),
        (2, ""),
    ] {
        assert_eq!(scratch.check(number, text), None, "{number}: {text:?}");
    }
    for (number, text) in [
        (2, "1\t0/500150\tx\n"),
        (3, "1\t0/500150\tx\n2\t0/700000\tx\n"),
        (9, "1\t0/500150\tx\n2\t0/900000\tx\n4\t0/A00000\tx\n"),
    ] {
        let message = scratch.check(number, text).unwrap();
        assert!(
            message.contains("timeline 2 of the server is not the timeline 2 of the archive"),
            "{message}"
        );
        assert!(
            message.contains("1 up to 0/500150") && message.contains("1 up to 0/500148"),
            "{message}"
        );
    }
    let message = scratch
        .check(5, "1\t0/500148\tx\n4\t0/900000\tx\n")
        .unwrap();
    assert!(message.contains("timeline 4 of the server"), "{message}");
    assert!(
        message.contains("1 up to 0/500148, 2 up to 0/900000"),
        "{message}"
    );
}

#[test]
fn a_timeline_listed_only_in_a_later_history_is_compared_too() {
    let scratch = Scratch::new("server_history-later");
    scratch.history(3, "1\t0/500148\tours\n2\t0/900000\tours\n");
    assert!(scratch.check(2, "1\t0/500150\tx\n").is_some());
    assert_eq!(scratch.check(2, "1\t0/500148\tx\n"), None);
}

#[test]
fn wal_from_before_the_start_of_its_timeline_is_refused() {
    let scratch = Scratch::new("server_history-wal");
    let path = scratch.0.path().join("000000020000000000000003.zstd");
    std::fs::write(path, b"x").unwrap();
    assert_eq!(scratch.check(2, "1\t0/300148\tx\n"), None);
    let message = scratch
        .check(3, "1\t0/500148\tx\n2\t0/700000\tx\n")
        .unwrap();
    assert!(
        message.contains("begins at 0/500148") && message.contains("from 0/300000 on"),
        "{message}"
    );
}

#[test]
fn a_damaged_history_fails_only_on_the_path() {
    let scratch = Scratch::new("server_history-damaged");
    scratch.history(2, "damaged");
    assert_eq!(scratch.check(3, "1\t0/500148\tx\n"), None);
    assert!(
        scratch
            .check(2, "1\t0/500148\tx\n")
            .unwrap()
            .contains("is damaged")
    );
}
