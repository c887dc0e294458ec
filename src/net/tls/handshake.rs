//! The handshake of either side.

use std::io;
use std::os::fd::AsFd;

use crate::error::{Error, ErrorKind, Result};
use crate::net::stream::network_error;
use crate::net::{Deadline, Stream};

impl Stream {
    /// Completes the handshake of the TLS connection that has just begun; `explain` makes the error
    /// for a message of the peer that ends it.
    pub(super) fn handshake(
        &mut self,
        deadline: Deadline,
        explain: impl Fn(&rustls::Error) -> Error,
    ) -> Result<()> {
        loop {
            // Sends what is queued first: the next message of the handshake, or the alert that ends
            // it.
            self.write_all(&[], deadline)?;
            let Some(tls) = self.tls.as_mut().filter(|tls| tls.is_handshaking()) else {
                return Ok(());
            };
            match tls.read_tls(&mut self.socket) {
                Ok(0) => {
                    return Err(Error::new(
                        ErrorKind::Network,
                        "the peer closed the connection during the handshake",
                    ));
                }
                Ok(_) => {
                    if let Err(error) = tls.process_new_packets() {
                        // Sends the alert; the connection is closed whether or not that succeeds.
                        let _ = tls.write_tls(&mut self.socket);
                        return Err(explain(&error));
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    let wait = self
                        .stop
                        .wait_readable(self.socket.as_fd(), deadline.left());
                    if !wait? {
                        let message = "the handshake did not end before the deadline";
                        return Err(Error::new(ErrorKind::Timeout, message));
                    }
                }
                Err(error) => return Err(network_error(&error)),
            }
            // A peer that sends slowly is readable each time.
            if deadline.passed() {
                let message = "the handshake did not end before the deadline";
                return Err(Error::new(ErrorKind::Timeout, message));
            }
        }
    }
}
