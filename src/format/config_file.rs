//! The kinds of PostgreSQL's configuration files.

/// A kind of configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConfigFile {
    /// `postgresql.conf`
    Main,
    /// `pg_hba.conf`
    Hba,
    /// `pg_ident.conf`
    Ident,
    /// A file that another one includes.
    Included,
}

impl ConfigFile {
    const ALL: [ConfigFile; 4] = [
        ConfigFile::Main,
        ConfigFile::Hba,
        ConfigFile::Ident,
        ConfigFile::Included,
    ];

    /// The setting that names the file; `include` for an included file.
    pub fn setting(self) -> &'static str {
        match self {
            ConfigFile::Main => "config_file",
            ConfigFile::Hba => "hba_file",
            ConfigFile::Ident => "ident_file",
            ConfigFile::Included => "include",
        }
    }

    /// The kind of file that a setting names.
    pub fn of_setting(name: &str) -> Option<ConfigFile> {
        ConfigFile::ALL
            .into_iter()
            .find(|file| file.setting() == name)
    }

    /// The default name in the data directory; `None` for an included file.
    pub fn usual_name(self) -> Option<&'static str> {
        match self {
            ConfigFile::Main => Some("postgresql.conf"),
            ConfigFile::Hba => Some("pg_hba.conf"),
            ConfigFile::Ident => Some("pg_ident.conf"),
            ConfigFile::Included => None,
        }
    }
}
