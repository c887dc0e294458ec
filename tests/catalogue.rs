//! Changes of the backups that are there: `delete`, `retain`, `expunge`, `annotate`.

mod c_program;
mod delete;
mod killed;
mod metadata;
