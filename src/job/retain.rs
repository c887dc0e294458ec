//! `retain` and `expunge`: excludes backups from retention, or includes them again.

use crate::error::{Context as _, Error, ErrorKind, Result};
use crate::job::context::ServerContext;
use crate::repository::Backup;
use crate::unit::Label;

/// What is asked for.
pub struct RetainOptions {
    /// `oldest`, `newest`, `latest`, a label, or a prefix of one.
    pub backup: String,
    /// Whether the backups that it depends on are included.
    pub cascade: bool,
    /// Whether they are excluded from retention.
    pub keep: bool,
}

/// The changed backups.
pub struct Retained {
    /// The one that was named, after the change.
    pub backup: Backup,
    /// Its label, and the labels of those that it depends on, the oldest last.
    pub labels: Vec<Label>,
}

/// Retains a backup, or expunges it. One that is not valid is [`ErrorKind::Corrupt`], and nothing
/// is changed then.
pub fn run(context: &ServerContext, options: &RetainOptions) -> Result<Retained> {
    let repository = context.repository()?;
    let backups = repository.backups()?;
    let named = Backup::select(backups.clone(), &options.backup)?;
    let mut chain = if options.cascade {
        chain(&backups, named)?
    } else {
        vec![named]
    };
    chain.iter().try_for_each(check_valid)?;
    let labels = chain.iter().map(|backup| backup.label.clone()).collect();
    if options.keep {
        // An interruption must not leave a backup retained without those that it depends on.
        chain.reverse();
    }
    for backup in &mut chain {
        let action = || format!("change backup {}", backup.label);
        *backup = repository
            .change_info(backup, &context.daemon.key, |metadata| {
                metadata.keep = options.keep;
                Ok(())
            })
            .with_context(action)?;
        let word = if options.keep { "retained" } else { "expunged" };
        let (label, server) = (&backup.label, &context.server.name);
        log::info!("backup {label} of server {server} is {word}");
    }
    if options.keep {
        chain.reverse();
    }
    let missing = || Error::new(ErrorKind::Internal, "no backup was named");
    Ok(Retained {
        backup: chain.into_iter().next().ok_or_else(missing)?,
        labels,
    })
}

/// The backup and those that it depends on, the oldest last.
fn chain(backups: &[Backup], named: Backup) -> Result<Vec<Backup>> {
    let mut chain = vec![named];
    while let Some(last) = chain.last()
        && let Some(parent) = &last.info.parent
    {
        let broken = |why: &str| {
            let message = format!("the backup {} depends on {parent:?}, {why}", last.label);
            Error::new(ErrorKind::Corrupt, message)
        };
        let is_parent = |backup: &&Backup| backup.label.as_str() == parent;
        let Some(found) = backups.iter().find(is_parent) else {
            return Err(broken("which is not there"));
        };
        if found.label >= last.label {
            return Err(broken("which is not older"));
        }
        chain.push(found.clone());
    }
    Ok(chain)
}

fn check_valid(backup: &Backup) -> Result<()> {
    let label = &backup.label;
    if backup.is_unreadable() {
        let why = backup.damage().unwrap_or_default();
        return Err(Error::new(ErrorKind::Io, why));
    }
    if backup.info.valid {
        return Ok(());
    }
    let message = format!("the backup {label} is not valid");
    Err(Error::new(ErrorKind::Corrupt, message)
        .with_hint("only a valid backup can be retained or expunged"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::Repository;

    #[test]
    fn the_chain_of_an_incremental_backup_ends_with_the_full_one() {
        let base = std::env::temp_dir().join(format!("pgmoneta-chain-{}", std::process::id()));
        std::fs::create_dir_all(&base).unwrap();
        let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        let label = |day: u32| format!("2026010{day}000000");
        let add = |day: u32, parent: &str| {
            let path = repository.c_backup_path().join(label(day));
            std::fs::create_dir_all(&path).unwrap();
            let kind = u8::from(!parent.is_empty());
            let text = format!("STATUS=1\nTYPE={kind}\nPARENT={parent}\n");
            std::fs::write(path.join("backup.info"), text).unwrap();
        };
        add(1, "");
        add(2, &label(1));
        add(3, &label(2));
        add(4, "20200101000000");
        add(5, &label(5));
        let backups = repository.backups().unwrap();
        let of = |day: usize| {
            let chain = chain(&backups, backups[day - 1].clone())?;
            let labels = chain.iter().map(|backup| backup.label.to_string());
            Ok::<_, Error>(labels.collect::<Vec<_>>())
        };
        assert_eq!(of(3).unwrap(), [label(3), label(2), label(1)]);
        assert_eq!(of(1).unwrap(), [label(1)]);
        for (day, why) in [(4, "not there"), (5, "not older")] {
            let failure = of(day).unwrap_err();
            assert!(failure.message().contains(why), "{failure}");
        }
        std::fs::remove_dir_all(&base).unwrap();
    }
}
