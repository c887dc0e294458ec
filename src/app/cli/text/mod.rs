//! Answers for people: tables and aligned fields, sizes with units, words for numbers.

mod backups;
mod layout;
mod render;
mod restore;
mod status;
mod values;
mod verify;

pub(super) use layout::span;
pub(super) use render::render;
pub(super) use verify::bad_files;
