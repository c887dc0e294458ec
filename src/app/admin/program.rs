//! The program `pgmoneta-admin` from its first line to its exit status.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::arguments::{Action, Arguments, Format};
use super::document;
use super::secret::{ObtainedSecret, SecretKind, obtain, user};
use crate::app::report::{EXIT_FAILURE, eprint, load_config, print, print_parsed, report};
use crate::config::locate_main;
use crate::crypto::{MasterKey, Secret};
use crate::error::{Error, ErrorKind, Result};
use crate::repository::BaseDirectory;
use crate::sys;
use crate::vault::{
    MAX_COMPATIBLE_SECRET, UsersFile, check_master_secret, check_new_master_key, check_password,
    check_user_name, create_master_key, load_master_key, master_key_path,
};

const NAME: &str = "pgmoneta-admin";

/// Runs the program; returns the exit status.
pub fn main() -> ExitCode {
    let mut arguments = match Arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => return ExitCode::from(print_parsed(&error)),
    };
    let (action, format) = (arguments.action, arguments.format);
    let started = Instant::now();
    let result = run(&mut arguments).and_then(|done| match format {
        Format::Text => print(&done.text()?),
        Format::Json => {
            let password = done.password()?;
            let users = done.users.as_deref();
            print(&document::success(
                action,
                started.elapsed(),
                users,
                password,
            )?)
        }
    });
    let Err(failure) = result else {
        return ExitCode::SUCCESS;
    };
    if format == Format::Json {
        // If the document cannot be printed, the error is still on standard error.
        let _ = document::failure(action, &failure).and_then(|text| print(&text));
    }
    report(NAME, &failure);
    ExitCode::from(EXIT_FAILURE)
}

/// The result of an action.
struct Done {
    /// The output in text format.
    message: String,
    /// All users of the file, if the action is one on users.
    users: Option<Vec<String>>,
    /// A generated password, which is printed.
    password: Option<Secret>,
}

impl Done {
    fn password(&self) -> Result<Option<&str>> {
        let text = self
            .password
            .as_ref()
            .map(|password| std::str::from_utf8(password.expose()));
        text.transpose()
            .map_err(|_| Error::new(ErrorKind::Internal, "the generated password is not UTF-8"))
    }

    fn text(&self) -> Result<String> {
        Ok(match self.password()? {
            Some(password) => format!("Password : {password}\n{}", self.message),
            None => self.message.clone(),
        })
    }
}

fn run(arguments: &mut Arguments) -> Result<Done> {
    sys::disable_core_dumps()?;
    if sys::user_id() == 0 {
        return Err(Error::new(
            ErrorKind::Permission,
            "pgmoneta-admin must not run as root: the daemon runs as another user",
        )
        .with_hint("run it as that user, whose home directory holds the master key"));
    }
    match arguments.action {
        Action::CreateMasterKey => master_key(arguments),
        Action::ListUsers => {
            let file = UsersFile::read(&arguments.file)?;
            let names = file.names();
            Ok(users_done(
                &file,
                names.iter().map(|name| format!("{name}\n")).collect(),
            ))
        }
        Action::CreateRepository => create_repository(arguments),
        Action::AddUser => add(arguments),
        Action::EditUser => edit(arguments),
        Action::RemoveUser => {
            let name = user(arguments)?;
            let file = UsersFile::remove(&arguments.file, &name)?;
            let path = arguments.file.display();
            Ok(users_done(
                &file,
                format!("User {name} is removed from {path}\n"),
            ))
        }
    }
}

fn create_repository(arguments: &Arguments) -> Result<Done> {
    let (path, servers) = match &arguments.repository {
        Some(path) => (std::path::absolute(path)?, Vec::new()),
        None => {
            let config = load_config(NAME, &locate_main(&arguments.files)?)?.config;
            let servers = config.servers.into_iter().map(|server| server.name);
            (config.base_dir, servers.collect())
        }
    };
    BaseDirectory::create(&path, &servers)?;
    Ok(Done {
        message: format!("The repository is in {}\n", path.display()),
        users: None,
        password: None,
    })
}

fn master_key(arguments: &mut Arguments) -> Result<Done> {
    let path = master_key_path()?;
    check_new_master_key(&path)?;
    let ObtainedSecret { secret, .. } =
        obtain(arguments, SecretKind::MasterKey, check_master_secret)?;
    if secret.expose().len() > MAX_COMPATIBLE_SECRET {
        eprint(&format!(
            "{NAME}: warning: pgmoneta 0.22 and earlier read master keys of at most \
             {MAX_COMPATIBLE_SECRET} bytes\n"
        ));
    }
    create_master_key(&path, &secret)?;
    Ok(Done {
        message: format!("The master key is in {}\n", path.display()),
        users: None,
        password: None,
    })
}

fn add(arguments: &mut Arguments) -> Result<Done> {
    let key = load_key()?;
    let name = user(arguments)?;
    check_user_name(&name)?;
    let path = arguments.file.clone();
    if path.exists() {
        UsersFile::read(&path)?.check_absent(&name)?;
    }
    let obtained = obtain(arguments, SecretKind::Password, check_password)?;
    let file = UsersFile::add(&path, &name, &obtained.secret, &key)?;
    let message = format!("User {name} is added to {}\n", path.display());
    Ok(with_password(users_done(&file, message), obtained))
}

fn edit(arguments: &mut Arguments) -> Result<Done> {
    let key = load_key()?;
    let name = user(arguments)?;
    let path = arguments.file.clone();
    UsersFile::read(&path)?.check_present(&name)?;
    let obtained = obtain(arguments, SecretKind::Password, check_password)?;
    let file = UsersFile::edit(&path, &name, &obtained.secret, &key)?;
    let message = format!("User {name} has a new password in {}\n", path.display());
    Ok(with_password(users_done(&file, message), obtained))
}

fn load_key() -> Result<MasterKey> {
    load_master_key(Path::new(&master_key_path()?))
}

/// The result of an action on users; warns of lines that the daemon would reject.
fn users_done(file: &UsersFile, message: String) -> Done {
    for (line, error) in file.damaged() {
        eprint(&format!(
            "{NAME}: warning: line {line} is not a valid record: {error}\n"
        ));
    }
    Done {
        message,
        users: Some(file.names().into_iter().map(str::to_owned).collect()),
        password: None,
    }
}

fn with_password(mut done: Done, obtained: ObtainedSecret) -> Done {
    done.password = Some(obtained.secret).filter(|_| obtained.generated);
    done
}
