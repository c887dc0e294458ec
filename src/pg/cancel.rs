//! Asking the server to give a command up.

use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;

use super::Login;
use super::connection::connect;
use crate::error::Result;
use crate::net::Deadline;
use crate::sys::Stop;

/// What a request to cancel the running command of a connection needs (PostgreSQL documentation, "Canceling Requests
/// in Progress").
pub(super) struct Cancel {
    login: Login,
    process: i32,
    key: i32,
}

/// How long it may take. Whoever drops a connection does not want to wait; without the request the server gives up too
/// when it next sends something.
const PATIENCE: Duration = Duration::from_secs(2);

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

    /// Sends the request, also when a stop was requested: it is often the reason.
    pub fn request(&self) -> Result<()> {
        let deadline = Deadline::after(PATIENCE);
        let mut stream = connect(&self.login, deadline, &Stop::new()?)?;
        let mut message = BytesMut::new();
        frontend::cancel_request(self.process, self.key, &mut message);
        stream.write_all(&message, deadline)?;
        // The server closes the connection once it has dealt with the request.
        stream.read(&mut [0], deadline)?;
        Ok(())
    }
}
