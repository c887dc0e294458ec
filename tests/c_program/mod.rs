//! Repositories that the C program wrote (`tests/data/c-repositories`), each at another place than
//! where it was made.

mod damage;
mod delete;
mod matrix;
mod repository;
