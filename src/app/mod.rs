//! The programs: a command line in, text and an exit status out.
//!
//! Nothing is done here that a test of the layers below would miss: arguments are read, the daemon or a job is asked,
//! and the answer is printed.

pub mod admin;
pub mod cli;
pub mod pgmoneta;
pub mod report;
