//! The master key file, and the users and admins files, whose passwords are encrypted with it.
//!
//! The formats are those of the C program since 0.21, for reading and writing. Loading a file
//! either decrypts all records or fails with an error that names the file and the line. Nothing
//! here prompts or prints.

mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod key;
mod password;
mod record;
mod users;

#[cfg(test)]
mod tests;

pub(crate) use file::UsersFile;
pub(crate) use key::{
    MAX_COMPATIBLE_SECRET, check_new_master_key, create_master_key, load_master_key,
    master_key_path,
};
pub(crate) use password::{check_master_secret, check_password, generate_password};
pub(crate) use record::check_user_name;
pub use users::Vault;
