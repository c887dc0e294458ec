//! The row of a key: where it may be set, its field, its default, and what the manual says.

use super::model::{ClientConfig, Config, Server};
use super::value::{Limits, Value, ValueKind};
use crate::error::{Error, ErrorKind, Result};

/// The section in which a key may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `[pgmoneta]`, or the file of the client.
    Main,
    /// The section of a server.
    Server,
    /// Either; a server without it inherits the value of `[pgmoneta]`.
    Both,
}

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// When the configuration is reloaded.
    Applied,
    /// After a restart of the daemon.
    Restart,
}

/// Whether a key has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Its value takes effect.
    Active,
    /// It belongs to this feature, which is not implemented yet.
    Planned(&'static str),
    /// It is accepted for compatibility with the C program and ignored, for this reason.
    Ignored(&'static str),
}

/// The field that holds the value of a key.
#[derive(Clone, Copy)]
pub enum Field {
    /// Of the daemon; the key is set in `[pgmoneta]`.
    Daemon(fn(&mut Config) -> &mut dyn Value),
    /// Of a server; the key is set in its section.
    Server(fn(&mut Server) -> &mut dyn Value),
    /// Of a server; the key is set in its section or for all servers in `[pgmoneta]`.
    Inherited(fn(&mut Server) -> &mut dyn Value),
    /// Of the client.
    Client(fn(&mut ClientConfig) -> &mut dyn Value),
    /// None: no feature uses the value. A value of this type checks it.
    Unused(Scope, fn() -> Box<dyn Value>),
}

/// The configuration of which a row sets one field.
pub enum Target<'a> {
    /// From `[pgmoneta]`.
    Daemon(&'a mut Config),
    /// From the section of a server.
    Server(&'a mut Server),
    /// From the file of the client.
    Client(&'a mut ClientConfig),
}

/// What is printed in place of a secret.
const HIDDEN: &str = "********";

/// A row of the option table.
#[derive(Clone, Copy)]
pub struct Setting {
    /// The key in the file.
    pub key: &'static str,
    /// The field that holds its value.
    pub field: Field,
    /// The default value as in the file; empty for none.
    pub default: &'static str,
    /// A description of one sentence, for the manual.
    pub help: &'static str,
    /// The range of a number.
    pub limits: Limits,
    /// A check of the text that [`Value::get`] gives for the value.
    pub check: Option<fn(&str) -> Result<()>>,
    /// The word in the section of a server for the value of `[pgmoneta]`.
    pub inherit: Option<&'static str>,
    /// Whether it must be set.
    pub required: bool,
    /// The unit of a number without unit; empty for none.
    pub unit: &'static str,
    /// When a changed value takes effect.
    pub reload: Reload,
    /// Whether its value must not be printed.
    pub secret: bool,
    /// Whether it has an effect.
    pub support: Support,
}

impl Setting {
    /// An active key with a default value, which takes effect after a restart.
    pub const fn new(
        key: &'static str,
        field: Field,
        default: &'static str,
        help: &'static str,
    ) -> Setting {
        Setting {
            key,
            field,
            default,
            help,
            limits: Limits {
                min: 0,
                max: i64::MAX,
            },
            check: None,
            inherit: None,
            required: false,
            unit: "",
            reload: Reload::Restart,
            secret: false,
            support: Support::Active,
        }
    }

    /// It must be set.
    pub const fn required(mut self) -> Setting {
        self.required = true;
        self
    }

    /// The lowest number.
    pub const fn at_least(mut self, min: i64) -> Setting {
        self.limits.min = min;
        self
    }

    /// The highest number.
    pub const fn at_most(mut self, max: i64) -> Setting {
        self.limits.max = max;
        self
    }

    /// A check of the text of the value.
    pub const fn checked(mut self, check: fn(&str) -> Result<()>) -> Setting {
        self.check = Some(check);
        self
    }

    /// In the section of a server, -1 stands for the value of `[pgmoneta]`.
    pub const fn minus_one_inherits(mut self) -> Setting {
        self.inherit = Some("-1");
        self
    }

    /// A changed value takes effect when the configuration is reloaded.
    pub const fn reloadable(mut self) -> Setting {
        self.reload = Reload::Applied;
        self
    }

    /// Its value must not be printed.
    pub const fn secret(mut self) -> Setting {
        self.secret = true;
        self
    }

    /// It belongs to a feature that is not implemented yet.
    pub const fn planned(mut self, feature: &'static str) -> Setting {
        self.support = Support::Planned(feature);
        self
    }

    /// It is accepted and ignored.
    pub const fn ignored(mut self, why: &'static str) -> Setting {
        self.support = Support::Ignored(why);
        self
    }

    /// The unit of a number without unit.
    pub const fn unit(mut self, unit: &'static str) -> Setting {
        self.unit = unit;
        self
    }

    /// The section in which it may be set.
    pub fn scope(&self) -> Scope {
        match self.field {
            Field::Daemon(_) | Field::Client(_) => Scope::Main,
            Field::Server(_) => Scope::Server,
            Field::Inherited(_) => Scope::Both,
            Field::Unused(scope, _) => scope,
        }
    }

    /// What its values look like.
    pub fn kind(&self) -> ValueKind {
        match self.field {
            Field::Daemon(field) => field(&mut Config::default()).kind(),
            Field::Server(field) | Field::Inherited(field) => field(&mut Server::default()).kind(),
            Field::Client(field) => field(&mut ClientConfig::default()).kind(),
            Field::Unused(_, new) => new().kind(),
        }
    }

    /// Whether it may be set in the section of `target`.
    pub fn belongs_to(&self, target: &Target<'_>) -> bool {
        match self.scope() {
            Scope::Main => !matches!(target, Target::Server(_)),
            Scope::Server => matches!(target, Target::Server(_)),
            Scope::Both => true,
        }
    }

    /// Reads a text that is not empty into the field of `target`.
    pub fn set(&self, target: &mut Target<'_>, text: &str) -> Result<()> {
        if matches!(target, Target::Server(_)) && self.inherit == Some(text) {
            return Ok(());
        }
        let value = self.value(target)?;
        match self.field {
            Field::Unused(_, new) => {
                let read = self.read(new, text)?;
                // A secret that nothing uses is not kept.
                value.set(if self.secret { HIDDEN } else { &read }, self.limits)
            }
            _ => value.set(text, self.limits),
        }?;
        self.check.map_or(Ok(()), |check| check(&value.get()))
    }

    /// The text for the value in `target`, `********` for a secret, empty if it is not set. A row
    /// has one function for reading and writing its field, so that a caller with a shared
    /// configuration passes a copy.
    pub fn get(&self, target: &mut Target<'_>) -> Result<String> {
        let text = self.value(target)?.get();
        let hidden = self.secret && !text.is_empty();
        Ok(if hidden { String::from(HIDDEN) } else { text })
    }

    /// Whether a valid text is the value that is used where the key is not set, for a key that no
    /// feature uses.
    pub(super) fn is_unused_default(&self, text: &str) -> bool {
        let Field::Unused(_, new) = self.field else {
            return false;
        };
        let read = self.read(new, text).ok();
        self.inherit == Some(text) || read.is_some() && read == self.read(new, self.default).ok()
    }

    fn read(&self, new: fn() -> Box<dyn Value>, text: &str) -> Result<String> {
        let mut value = new();
        value.set(text, self.limits)?;
        Ok(value.get())
    }

    fn value<'a>(&self, target: &'a mut Target<'_>) -> Result<&'a mut dyn Value> {
        let unused = match (self.field, target) {
            (Field::Daemon(field), Target::Daemon(config)) => return Ok(field(config)),
            (Field::Inherited(field), Target::Daemon(config)) => {
                return Ok(field(&mut config.server_defaults));
            }
            (Field::Server(field) | Field::Inherited(field), Target::Server(server)) => {
                return Ok(field(server));
            }
            (Field::Client(field), Target::Client(config)) => return Ok(field(config)),
            (Field::Unused(Scope::Main, _), Target::Daemon(config)) => &mut config.unused,
            (Field::Unused(Scope::Both, _), Target::Daemon(config)) => {
                &mut config.server_defaults.unused
            }
            (Field::Unused(Scope::Server | Scope::Both, _), Target::Server(server)) => {
                &mut server.unused
            }
            _ => {
                let text = format!("{} does not belong in this section", self.key);
                return Err(Error::new(ErrorKind::Internal, text));
            }
        };
        Ok(unused.entry(self.key).or_default())
    }
}
