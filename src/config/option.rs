//! What an option is: the shape of the rows of the option table.

/// The section where an option stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `[pgmoneta]`.
    Main,
    /// The section of a server.
    Server,
    /// Either; what `[pgmoneta]` says is for the servers that say nothing.
    Both,
}

/// What the value of an option looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path in which `$NAME` stands for an environment variable.
    Path,
    /// A path that is taken as it is.
    PlainPath,
    /// A `strftime` pattern.
    Pattern,
    /// `on`, `true`, `yes`, `1`, `off`, `false`, `no` or `0`.
    Boolean,
    /// As [`Kind::Boolean`], and -1 to inherit.
    InheritedBoolean,
    /// A whole number of this range.
    Integer(i64, i64),
    /// A length of time of at least this many seconds.
    Time(u64),
    /// A number of bytes.
    Size,
    /// A number of bytes a second, 0 for no limit.
    Rate,
    /// As [`Kind::Rate`], and -1 to inherit.
    ServerRate,
    /// A compression level or `auto`.
    Level,
    /// Days, weeks, months and years.
    Retention,
    /// One of these words.
    Word(Words),
    /// Some of these words, separated by commas.
    WordList(Words),
    /// Items separated by this character, at most so many.
    List(char, usize),
}

/// Words and what each one means; the first of each meaning is the name that messages use.
pub type Words = &'static [(&'static str, &'static [&'static str])];

/// What becomes of a change when the configuration is read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// It applies at once.
    Applied,
    /// It needs a restart.
    Restart,
}

/// Whether an option does something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// It does.
    Here,
    /// What it belongs to is not there yet.
    Later(&'static str),
    /// There is nothing here that it could change.
    NoEffect(&'static str),
}

/// A row of the option table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The section.
    pub scope: Scope,
    /// The key.
    pub key: &'static str,
    /// What its value looks like.
    pub kind: Kind,
    /// The value where the file has none, as it would be written; empty where there is none.
    pub default: &'static str,
    /// Whether the file must have a value.
    pub required: bool,
    /// The unit of a bare number, if it has one.
    pub unit: &'static str,
    /// What becomes of a change.
    pub reload: Reload,
    /// Whether its value must not be shown.
    pub secret: bool,
    /// Whether it does something.
    pub presence: Presence,
    /// What it is for, in a sentence.
    pub help: &'static str,
}

impl Setting {
    /// An option with a default, of which a change needs a restart.
    pub(super) const fn new(
        scope: Scope,
        key: &'static str,
        kind: Kind,
        default: &'static str,
        help: &'static str,
    ) -> Setting {
        let unit = match kind {
            Kind::Time(_) => "seconds",
            Kind::Size => "bytes",
            Kind::Rate | Kind::ServerRate => "bytes a second",
            _ => "",
        };
        Setting {
            scope,
            key,
            kind,
            default,
            required: false,
            unit,
            reload: Reload::Restart,
            secret: false,
            presence: Presence::Here,
            help,
        }
    }

    /// The file must have it.
    pub(super) const fn required(mut self) -> Setting {
        self.required = true;
        self
    }

    /// A change applies at once.
    pub(super) const fn reloadable(mut self) -> Setting {
        self.reload = Reload::Applied;
        self
    }

    /// Its value must not be shown.
    pub(super) const fn secret(mut self) -> Setting {
        self.secret = true;
        self
    }

    /// It belongs to something that is not there yet.
    pub(super) const fn later(mut self, feature: &'static str) -> Setting {
        self.presence = Presence::Later(feature);
        self
    }

    /// There is nothing that it could change.
    pub(super) const fn no_effect(mut self, why: &'static str) -> Setting {
        self.presence = Presence::NoEffect(why);
        self
    }

    /// A bare number means this.
    pub(super) const fn unit(mut self, unit: &'static str) -> Setting {
        self.unit = unit;
        self
    }

    /// Whether it may stand in `[pgmoneta]` (or, for `false`, in the section of a server).
    pub fn allowed(&self, main: bool) -> bool {
        match self.scope {
            Scope::Both => true,
            Scope::Main => main,
            Scope::Server => !main,
        }
    }
}
