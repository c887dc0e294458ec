//! The current configuration, shared by the threads of the daemon.

use std::sync::{Arc, PoisonError, RwLock};

use super::model::Config;

/// Hands out the current configuration; clones share it. A job keeps the one that it began with,
/// so that a reload changes nothing under it.
#[derive(Clone, Debug)]
pub struct ConfigHandle(Arc<RwLock<Arc<Config>>>);

impl ConfigHandle {
    /// A handle that hands out `config`.
    pub fn new(config: Config) -> ConfigHandle {
        ConfigHandle(Arc::new(RwLock::new(Arc::new(config))))
    }

    /// The current configuration.
    pub fn current(&self) -> Arc<Config> {
        let current = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Replaces the configuration for those who ask from now on.
    pub fn replace(&self, config: Config) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_keeps_the_configuration_that_it_began_with() {
        let handle = ConfigHandle::new(Config::default());
        let (job, other) = (handle.current(), handle.clone());
        other.replace(Config {
            keep_alive: true,
            ..Config::default()
        });
        assert!(!job.keep_alive);
        assert!(handle.current().keep_alive);
    }
}
