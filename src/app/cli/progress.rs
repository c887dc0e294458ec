//! The progress line of a long-running operation.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::Client;
use crate::protocol::{Command, ProgressReply, ProgressRequest, Request, Run};
use crate::sys::Stop;
use crate::unit::{ByteSize, human_duration};

/// How often the line is redrawn.
const REFRESH_INTERVAL: Duration = Duration::from_millis(500);

/// A line on the terminal that a thread redraws, and erases at the end.
pub(super) struct ProgressLine {
    stop: Stop,
    thread: JoinHandle<()>,
}

impl ProgressLine {
    /// Starts the thread if the request is long-running and standard error is a terminal.
    pub(super) fn start(client: &Arc<Client>, request: &Request) -> Option<ProgressLine> {
        let command = request.command();
        if command.run != Run::Operation || request.is_dry_run() {
            return None;
        }
        let members = request.members().ok()?;
        let server = members.get("Server")?.as_str()?.to_owned();
        if !io::stderr().is_terminal() {
            return None;
        }
        let stop = Stop::new().ok()?;
        let query = Request::Progress(ProgressRequest {
            server,
            command: command.to_string(),
        });
        let (client, inner) = (client.clone(), stop.clone());
        let thread = std::thread::Builder::new().name("progress".to_owned());
        // If the thread cannot be created, only the line is missing.
        let thread = thread
            .spawn(move || draw(&client, &query, command, &inner))
            .ok()?;
        Some(ProgressLine { stop, thread })
    }

    /// Stops the thread and waits until it has erased the line.
    pub(super) fn end(self) {
        self.stop.request();
        // A panic of the thread does not affect the operation.
        let _ = self.thread.join();
    }
}

fn draw(client: &Client, query: &Request, command: &Command, stop: &Stop) {
    let mut out = io::stderr();
    while stop.pause(REFRESH_INTERVAL).is_ok() {
        let Ok(Ok(reply)) = client.send(query, stop).map(|response| response.reply()) else {
            continue;
        };
        if let Some(line) = line(command, &reply) {
            let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
        }
    }
    let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
}

/// `backup: 12.60MB of 180.86MB, 6 %, 3.15MB/s, 53 s left`
fn line(command: &Command, reply: &ProgressReply) -> Option<String> {
    if !reply.is_running() {
        return None;
    }
    let mut line = format!("{command}: {}", ByteSize(reply.done));
    if reply.total > 0 {
        let (total, percentage) = (ByteSize(reply.total), reply.percentage);
        line.push_str(&format!(" of {total}, {percentage} %"));
    }
    if let Some(rate) = reply.done.checked_div(reply.elapsed) {
        line.push_str(&format!(", {}/s", ByteSize(rate)));
    }
    if let Some(seconds) = reply.remaining.seconds() {
        line.push_str(&format!(", {} left", human_duration(seconds)));
    }
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::BACKUP;
    use serde_json::json;

    #[test]
    fn the_line_has_bytes_rate_and_remaining_time() {
        let fields = json!({
            "ProgressState": 1, "Done": 13_213_696, "Total": 189_638_656, "Percentage": 6,
            "Elapsed": 4, "Remaining": {"value": 53, "string_value": "53s"}
        });
        let line = |fields: &serde_json::Value| {
            line(&BACKUP, &serde_json::from_value(fields.clone()).unwrap())
        };
        assert_eq!(
            line(&fields).unwrap(),
            "backup: 12.60MB of 180.85MB, 6 %, 3.15MB/s, 53 s left"
        );
        assert_eq!(line(&json!({"ProgressState": 0})), None);
    }
}
