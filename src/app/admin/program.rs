//! The program `pgmoneta-admin` from its first line to its exit status.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use super::arguments::{Arguments, Format, Verb};
use super::document;
use super::secret::{Answer, Wanted, obtain, user};
use crate::app::report::{FAILED, USAGE, complain, load, print, report};
use crate::config::locate_main;
use crate::crypto::{MasterKey, Secret};
use crate::error::{Failure, Kind, Result};
use crate::repository::BaseDirectory;
use crate::sys;
use crate::vault::{
    LONGEST_SHARED_KEY, UsersFile, check_master_secret, check_new_master_key, check_password,
    check_user_name, create_master_key, load_master_key, master_key_path,
};

const NAME: &str = "pgmoneta-admin";

/// The program.
pub fn main() -> ExitCode {
    let mut arguments = match Arguments::parse(std::env::args_os()) {
        Ok(arguments) => arguments,
        Err(error) => {
            let status = u8::try_from(error.exit_code()).unwrap_or(USAGE);
            return match error.print() {
                Ok(()) => ExitCode::from(status),
                Err(_) => ExitCode::from(FAILED),
            };
        }
    };
    let (verb, format) = (arguments.verb, arguments.format);
    let started = Instant::now();
    let result = run(&mut arguments).and_then(|done| match format {
        Format::Text => print(&done.text()?),
        Format::Json => {
            let password = done.password()?;
            let users = done.users.as_deref();
            print(&document::success(
                verb,
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
        // Where the document cannot be printed the line on standard error is what there is.
        let _ = document::failure(verb, &failure).and_then(|text| print(&text));
    }
    report(NAME, &failure);
    ExitCode::from(FAILED)
}

/// What was done.
struct Done {
    /// In a sentence.
    sentence: String,
    /// The users, for the verbs that have to do with them.
    users: Option<Vec<String>>,
    /// A password that nobody has seen yet.
    password: Option<Secret>,
}

impl Done {
    fn password(&self) -> Result<Option<&str>> {
        let text = self
            .password
            .as_ref()
            .map(|password| std::str::from_utf8(password.expose()));
        text.transpose()
            .map_err(|_| Failure::new(Kind::Internal, "the generated password is no text"))
    }

    fn text(&self) -> Result<String> {
        Ok(match self.password()? {
            Some(password) => format!("Password : {password}\n{}", self.sentence),
            None => self.sentence.clone(),
        })
    }
}

fn run(arguments: &mut Arguments) -> Result<Done> {
    sys::forbid_core_dumps()?;
    if sys::user_id() == 0 {
        return Err(Failure::new(
            Kind::Permission,
            "root has no use for it: the daemon runs as another user",
        )
        .hint("run it as that user, whose home directory holds the master key"));
    }
    match arguments.verb {
        Verb::MasterKey => master_key(arguments),
        Verb::List => {
            let file = UsersFile::read(&arguments.file)?;
            let names = file.names();
            Ok(done(
                &file,
                names.iter().map(|name| format!("{name}\n")).collect(),
            ))
        }
        Verb::CreateRepository => create_repository(arguments),
        Verb::Add => add(arguments),
        Verb::Edit => edit(arguments),
        Verb::Remove => {
            let name = user(arguments)?;
            let file = UsersFile::remove(&arguments.file, &name)?;
            let path = arguments.file.display();
            Ok(done(&file, format!("User {name} is removed from {path}\n")))
        }
    }
}

fn create_repository(arguments: &Arguments) -> Result<Done> {
    let (path, servers) = match &arguments.repository {
        Some(path) => (std::path::absolute(path)?, Vec::new()),
        None => {
            let config = load(NAME, &locate_main(&arguments.files)?)?.config;
            let servers = config.servers.into_iter().map(|server| server.name);
            (config.base_dir, servers.collect())
        }
    };
    BaseDirectory::create(&path, &servers)?;
    Ok(Done {
        sentence: format!("The repository is in {}\n", path.display()),
        users: None,
        password: None,
    })
}

fn master_key(arguments: &mut Arguments) -> Result<Done> {
    let path = master_key_path()?;
    check_new_master_key(&path)?;
    let Answer { secret, .. } = obtain(arguments, Wanted::MasterKey, check_master_secret)?;
    if secret.expose().len() > LONGEST_SHARED_KEY {
        complain(&format!(
            "{NAME}: warning: pgmoneta 0.22 and before read master keys of at most {LONGEST_SHARED_KEY} bytes\n"
        ));
    }
    create_master_key(&path, &secret)?;
    Ok(Done {
        sentence: format!("The master key is in {}\n", path.display()),
        users: None,
        password: None,
    })
}

fn add(arguments: &mut Arguments) -> Result<Done> {
    let key = key()?;
    let name = user(arguments)?;
    check_user_name(&name)?;
    let path = arguments.file.clone();
    if path.exists() {
        UsersFile::read(&path)?.check_absent(&name)?;
    }
    let answer = obtain(arguments, Wanted::Password, check_password)?;
    let file = UsersFile::add(&path, &name, &answer.secret, &key)?;
    let sentence = format!("User {name} is added to {}\n", path.display());
    Ok(with_password(done(&file, sentence), answer))
}

fn edit(arguments: &mut Arguments) -> Result<Done> {
    let key = key()?;
    let name = user(arguments)?;
    let path = arguments.file.clone();
    UsersFile::read(&path)?.check_present(&name)?;
    let answer = obtain(arguments, Wanted::Password, check_password)?;
    let file = UsersFile::edit(&path, &name, &answer.secret, &key)?;
    let sentence = format!("User {name} has a new password in {}\n", path.display());
    Ok(with_password(done(&file, sentence), answer))
}

fn key() -> Result<MasterKey> {
    load_master_key(Path::new(&master_key_path()?))
}

/// Tells of lines that the daemon will not take.
fn done(file: &UsersFile, sentence: String) -> Done {
    for (line, what) in file.damaged() {
        complain(&format!(
            "{NAME}: warning: line {line} is no record: {what}\n"
        ));
    }
    Done {
        sentence,
        users: Some(file.names().into_iter().map(str::to_owned).collect()),
        password: None,
    }
}

fn with_password(mut done: Done, answer: Answer) -> Done {
    done.password = Some(answer.secret).filter(|_| answer.generated);
    done
}
