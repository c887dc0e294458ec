//! The progress line of a long-running operation.

use std::io::{self, IsTerminal, Write};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::client::Client;
use super::text::human_duration;
use crate::protocol::{Command, Members, ProgressRequest, Request, Run};
use crate::sys::Stop;
use crate::unit::ByteSize;

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
        let Ok(response) = client.send(query, stop) else {
            continue;
        };
        if let Some(line) = line(command, &response.fields()) {
            let _ = write!(out, "\r\x1b[K{line}").and_then(|()| out.flush());
        }
    }
    let _ = write!(out, "\r\x1b[K").and_then(|()| out.flush());
}

/// `backup: 12.60MB of 180.86MB, 6 %, 3.15MB/s, 53 s left`
fn line(command: &Command, fields: &Members) -> Option<String> {
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
    let remaining = fields
        .get("Remaining")
        .and_then(|remaining| remaining.get("value")?.as_u64());
    if let Some(seconds) = remaining.filter(|&seconds| seconds > 0) {
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
            "ProgressState": 1, "Done": 13_213_696, "Total": 189_638_656, "Percentage": 6, "Elapsed": 4,
            "Remaining": {"value": 53, "string_value": "53s"}
        });
        let line = |fields: &serde_json::Value| line(&BACKUP, fields.as_object().unwrap());
        assert_eq!(
            line(&fields).unwrap(),
            "backup: 12.60MB of 180.85MB, 6 %, 3.15MB/s, 53 s left"
        );
        assert_eq!(line(&json!({"ProgressState": 0})), None);
    }
}
