//! The type of the rows of the option table.

use crate::unit::Names;

/// The section in which an option may be set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// `[pgmoneta]`.
    Main,
    /// The section of a server.
    Server,
    /// Either; a server without it inherits the value of `[pgmoneta]`.
    Both,
}

/// The type of the value of an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueKind {
    /// Any text.
    Text,
    /// A path in which `$NAME` stands for an environment variable.
    Path,
    /// A path without expansion of environment variables.
    PlainPath,
    /// A `strftime` pattern.
    Pattern,
    /// `on`, `true`, `yes`, `1`, `off`, `false`, `no` or `0`.
    Boolean,
    /// As [`ValueKind::Boolean`], and -1 to inherit.
    InheritedBoolean,
    /// An integer of this range, both ends included.
    Integer(i64, i64),
    /// A duration of at least this many seconds.
    Time(u64),
    /// A number of bytes.
    Size,
    /// A number of bytes per second, 0 for no limit.
    Rate,
    /// As [`ValueKind::Rate`], and -1 to inherit.
    ServerRate,
    /// A compression level or `auto`.
    Level,
    /// Days, weeks, months and years, separated by commas.
    Retention,
    /// One of these values.
    Enum(EnumValues),
    /// Any of these values, separated by commas.
    EnumList(EnumValues),
    /// Items separated by this character, at most this many.
    List(char, usize),
}

/// The values of an enum option: the name of each one, which messages use, and its aliases.
pub type EnumValues = &'static [Names];

/// When a changed value takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reload {
    /// When the configuration is reloaded.
    Applied,
    /// After a restart of the daemon.
    Restart,
}

/// Whether an option has an effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Support {
    /// Its value takes effect.
    Active,
    /// It belongs to this feature, which is not implemented yet.
    Planned(&'static str),
    /// It is accepted for compatibility with the C program and ignored, for this reason.
    Ignored(&'static str),
}

/// A row of the option table.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The section in which it may be set.
    pub scope: Scope,
    /// The key in the file.
    pub key: &'static str,
    /// The type of its value.
    pub kind: ValueKind,
    /// The default value as in the file; empty for none.
    pub default: &'static str,
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
    /// A description of one sentence, for the manual.
    pub help: &'static str,
}

impl Setting {
    /// An option with a default value, which takes effect after a restart.
    pub(super) const fn new(
        scope: Scope,
        key: &'static str,
        kind: ValueKind,
        default: &'static str,
        help: &'static str,
    ) -> Setting {
        let unit = match kind {
            ValueKind::Time(_) => "seconds",
            ValueKind::Size => "bytes",
            ValueKind::Rate | ValueKind::ServerRate => "bytes per second",
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
            support: Support::Active,
            help,
        }
    }

    /// It must be set.
    pub(super) const fn required(mut self) -> Setting {
        self.required = true;
        self
    }

    /// A changed value takes effect when the configuration is reloaded.
    pub(super) const fn reloadable(mut self) -> Setting {
        self.reload = Reload::Applied;
        self
    }

    /// Its value must not be printed.
    pub(super) const fn secret(mut self) -> Setting {
        self.secret = true;
        self
    }

    /// It belongs to a feature that is not implemented yet.
    pub(super) const fn planned(mut self, feature: &'static str) -> Setting {
        self.support = Support::Planned(feature);
        self
    }

    /// It is accepted and ignored.
    pub(super) const fn ignored(mut self, why: &'static str) -> Setting {
        self.support = Support::Ignored(why);
        self
    }

    /// The unit of a number without unit.
    pub(super) const fn unit(mut self, unit: &'static str) -> Setting {
        self.unit = unit;
        self
    }

    /// Whether it may be set in `[pgmoneta]` (or, for `false`, in the section of a server).
    pub fn allowed(&self, main: bool) -> bool {
        match self.scope {
            Scope::Both => true,
            Scope::Main => main,
            Scope::Server => !main,
        }
    }
}
