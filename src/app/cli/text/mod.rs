//! The text output: tables and aligned fields, sizes with units, names instead of codes.

mod backups;
mod generic;
mod layout;
mod render;
mod restore;
mod retention;
mod status;
mod values;
mod verify;

pub(super) use generic::value;
pub(super) use render::{View, render};
