//! Verification of generated archives.

mod scratch;
mod segments;
mod timelines;
