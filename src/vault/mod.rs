//! The master key file, and the users and admins files whose records it opens.
//!
//! The formats are those of the C program from 0.21 on, in both directions. A file is read whole: either every record
//! opens, or the failure names the file and the line. Nothing here prompts or prints.

mod file;
mod key;
mod password;
mod record;
mod users;

#[cfg(test)]
mod tests;

pub use file::UsersFile;
pub use key::{
    LONGEST_SHARED_KEY, check_new_master_key, create_master_key, load_master_key, master_key_path,
};
pub use password::{check_master_secret, check_password, generate_password};
pub use record::check_user_name;
pub use users::Vault;
