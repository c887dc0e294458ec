//! PostgreSQL's file formats of any bytes.

mod cluster_files;
mod server_manifest;
mod tar;
mod wal;

pub(crate) use cluster_files::cluster_files;
pub(crate) use server_manifest::server_manifest;
pub(crate) use tar::tar;
pub(crate) use wal::wal;
