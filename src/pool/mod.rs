//! A thread pool: runs closures on a fixed number of named threads, shared fairly between jobs.

mod for_each;
mod threads;

pub(crate) use for_each::for_each;
pub use threads::Pool;
pub(crate) use threads::TaskHandle;
