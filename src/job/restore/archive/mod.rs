//! An archive: one tar file with exactly what a restore would write, compressed and encrypted as
//! configured. It is written as a stream, from the plan of a restore; every byte that is read is
//! compared with the manifest, and the file gets its name only if all of them are right.

mod room;
mod run;
mod stream_encoder;
mod tar_output;

pub(crate) use run::run;
