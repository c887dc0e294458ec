//! pgmoneta keeps PostgreSQL clusters restorable: a daemon streams WAL and takes base backups, a client drives it,
//! and recovery brings any point in time back.
//!
//! The modules form layers; each uses lower ones only (`tests/layering.rs` checks it). From the top:
//! programs ([`app`]), the daemon ([`daemon`]), one verb a file ([`job`]), then PostgreSQL ([`pg`]), the repository
//! ([`repository`]), the management protocol ([`protocol`]) and the shared state ([`status`]), then formats
//! ([`codec`], [`format`], [`config`], [`vault`]), then the machine ([`storage`], [`crypto`], [`net`], [`logging`],
//! [`sys`], [`pool`]), and at the bottom the words ([`unit`], [`error`]).

pub mod app;
pub mod codec;
pub mod config;
pub mod crypto;
pub mod daemon;
pub mod error;
pub mod format;
pub mod job;
pub mod logging;
pub mod net;
pub mod pg;
pub mod pool;
pub mod protocol;
pub mod repository;
pub mod status;
pub mod storage;
pub mod sys;
pub mod unit;
pub mod vault;
