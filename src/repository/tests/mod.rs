//! Backups on disk: listing, finding, cleanup, and the checks of a manifest.

mod catalogue;
mod change_info;
mod hand_over;
mod hostile;
mod listing;
mod manifest;
mod moving;
mod remove;
mod scratch;
mod sweep;
