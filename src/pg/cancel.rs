//! Cancel requests.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::Login;
use super::connect::connect;
use crate::error::Result;
use crate::net::Deadline;
use crate::sys::Stop;

/// The data of a cancel request for the running command of a connection (PostgreSQL documentation,
/// "Canceling Requests in Progress").
pub(super) struct Cancel {
    login: Login,
    process: i32,
    key: i32,
}

/// Kept short, because it delays the drop of the connection; without the request the server notices
/// the closed connection when it next sends.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

impl Cancel {
    pub fn new(login: &Login, process: i32, key: i32) -> Cancel {
        let mut login = login.clone();
        // No log-in follows.
        login.password = None;
        Cancel {
            login,
            process,
            key,
        }
    }

    /// Sends the request, also after a stop was requested, which is often the reason for it.
    pub fn request(&self) -> Result<()> {
        let deadline = Deadline::after(CANCEL_TIMEOUT);
        let mut stream = connect(&self.login, deadline, &Stop::new()?)?;
        let mut message = BytesMut::new();
        frontend::cancel_request(self.process, self.key, &mut message);
        stream.write_all(&message, deadline)?;
        // The server closes the connection once it has dealt with the request.
        stream.read(&mut [0], deadline)?;
        Ok(())
    }
}
