//! The service as a client sees it, over real connections.

mod answers;
mod client;
mod failures;
mod limits;

use super::{Running, Server, Settings};
