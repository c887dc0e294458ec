//! The line that shows how far an operation has come.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::exchange::Client;
use super::text::span;
use crate::protocol::{Command, Members, Request};
use crate::sys::Stop;
use crate::unit::ByteSize;

/// How often it is drawn anew.
const PERIOD: Duration = Duration::from_millis(500);

/// A line on the terminal that another thread keeps up to date; it is wiped away when it ends.
pub(super) struct ProgressLine {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl ProgressLine {
    /// Begins the line for an operation that takes time, if standard error is a terminal.
    pub(super) fn start(client: &Arc<Client>, request: &Request) -> Option<ProgressLine> {
        let server = match request {
            Request::Backup { server, .. } | Request::Verify { server, .. } => server.clone(),
            Request::Restore(restore) if !restore.dry_run => restore.server.clone(),
            _ => return None,
        };
        if !io::stderr().is_terminal() {
            return None;
        }
        let stop = Stop::new().ok()?;
        let asked = Request::Progress {
            server,
            command: request.command().to_string(),
        };
        let (client, inner, command) = (client.clone(), stop.clone(), request.command());
        let thread = std::thread::Builder::new().name("progress".to_owned());
        // Without the line the work is done all the same.
        let thread = thread
            .spawn(move || draw(&client, &asked, command, &inner))
            .ok()?;
        Some(ProgressLine { stop, thread })
    }

    /// Ends it.
    pub(super) fn end(self) {
        self.stop.request();
        // It does nothing that could panic, and if it did, only the line would be missing.
        let _ = self.thread.join();
    }
}

fn draw(client: &Client, asked: &Request, command: Command, stop: &Stop) {
    let mut out = io::stderr();
    while stop.pause(PERIOD).is_ok() {
        let Ok(response) = client.ask(asked, stop) else {
            continue;
        };
        if let Some(line) = line(command, &response.fields()) {
            let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
        }
    }
    let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
}

/// `backup: 12.60MB of 180.86MB, 6 %, 3.15MB/s, 53 s left`
fn line(command: Command, fields: &Members) -> Option<String> {
    let number = |name: &str| fields.get(name).and_then(serde_json::Value::as_u64);
    if number("ProgressState") != Some(1) {
        return None;
    }
    let (done, total) = (number("Done")?, number("Total")?);
    let elapsed = number("Elapsed")?;
    let mut line = format!("{command}: {}", ByteSize(done));
    if total > 0 {
        let percentage = number("Percentage")?;
        line.push_str(&format!(" of {}, {percentage} %", ByteSize(total)));
    }
    if let Some(rate) = done.checked_div(elapsed) {
        line.push_str(&format!(", {}/s", ByteSize(rate)));
    }
    let left = fields
        .get("Remaining")
        .and_then(|left| left.get("value")?.as_u64());
    if let Some(left) = left.filter(|&left| left > 0) {
        line.push_str(&format!(", {} left", span(left)));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_line_has_bytes_rate_and_time_left() {
        let fields = json!({
            "ProgressState": 1, "Done": 13_213_696, "Total": 189_638_656, "Percentage": 6, "Elapsed": 4,
            "Remaining": {"value": 53, "string_value": "53s"}
        });
        let line = |fields: &serde_json::Value| line(Command::Backup, fields.as_object().unwrap());
        assert_eq!(
            line(&fields).unwrap(),
            "backup: 12.60MB of 180.85MB, 6 %, 3.15MB/s, 53 s left"
        );
        assert_eq!(line(&json!({"ProgressState": 0})), None);
    }
}
