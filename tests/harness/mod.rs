//! The test harness: directories, PostgreSQL clusters, daemons; each is removed when its value is
//! dropped.
//!
//! Assertions about the program are in the modules that use it.
#![allow(dead_code, unused_imports)] // each test module uses a part

mod amcheck;
mod archive;
mod certificates;
mod cluster;
mod cluster_builder;
mod daemon;
mod daemon_builder;
mod faults;
mod load;
mod many;
mod pages;
mod port;
mod process;
mod random;
mod running_statement;
mod scratch;
mod selftest;
mod servers;
#[cfg(target_os = "linux")]
mod small_disk;
mod sql;
mod standby;
mod steps;
mod stopped_wal_sender;
mod user;
mod vault;
mod wait;

pub use amcheck::assert_sound;
pub use archive::Reference;
pub use certificates::Certificate;
pub use cluster::{Cluster, SUPERUSER};
pub use cluster_builder::{Builder, REPLICATION_PASSWORD, REPLICATION_USER, run};
pub use daemon::{Daemon, Output, program};
pub use daemon_builder::{DaemonBuilder, streaming_daemon};
pub use faults::Faults;
pub use load::{Load, assert_all_there};
pub use many::{KEEP_ALL, many};
pub use pages::{Pages, check_pages};
pub use port::{Port, free_port};
pub use process::Process;
pub use random::Random;
pub use running_statement::RunningStatement;
pub use scratch::{Scratch, discard, make, names, write_owned};
pub use servers::{MAJORS, client, copy_tree, installed, server};
#[cfg(target_os = "linux")]
pub use small_disk::SmallDisk;
pub use steps::{Call, Steps};
pub use stopped_wal_sender::StoppedWalSender;
pub use user::{User, user};
pub use vault::{MASTER_KEY, copy_vault};
pub use wait::{test_timeout, wait_until};
