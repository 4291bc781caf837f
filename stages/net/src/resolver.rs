//! The resolver that a guarded client dials from: a name comes back without the addresses that may not be dialled.
//!
//! Separate from the guard, which judges and never waits. What was judged here is what the client connects to: it asks
//! once for each connection and looks nothing up again, so a name that answers differently the next time is judged
//! anew the next time.

use std::fmt;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use crate::guard::Guard;

/// A guard as the resolver of a client.
#[derive(Clone)]
pub struct Resolver {
    guard: Arc<Guard>,
    inner: Arc<dyn Resolve>,
}

impl Resolver {
    /// Resolves as the system does, and lets the guard choose.
    #[must_use]
    pub fn new(guard: Arc<Guard>) -> Self {
        Self::over(guard, Arc::new(System))
    }

    /// Lets the guard choose from the answers of another resolver. None of them is trusted for who gave it: a test may
    /// answer what it likes, and so may a name server.
    #[must_use]
    pub fn over(guard: Arc<Guard>, inner: Arc<dyn Resolve>) -> Self {
        Self { guard, inner }
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("guard", &self.guard).finish_non_exhaustive()
    }
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let host = name.as_str().to_owned();
        let found = self.inner.resolve(name);
        Box::pin(async move {
            let permitted = guard.permitted(&host, found.await?)?;
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

struct System;

impl Resolve for System {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(found.into_iter()) as Addrs)
        })
    }
}
