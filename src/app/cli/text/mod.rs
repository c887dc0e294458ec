//! Answers for people: tables and aligned fields, sizes with units, words for numbers.

mod backups;
mod layout;
mod other;
mod render;
mod restore;
mod status;
mod values;
mod verify;

pub(super) use layout::span;
pub(super) use other::value;
pub(super) use render::render;
pub(super) use status::troubled_servers;
pub(super) use verify::bad_files;
