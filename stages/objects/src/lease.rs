//! Who writes a place: one at a time, told apart by an epoch.
//!
//! A lease is an object below the place, called by its epoch. Who wants to write makes the object of the next epoch, which a
//! store that passed [`probe`](crate::probe()) gives to one alone, then removes those before it. Whoever finds its own object
//! gone has been succeeded, and writes nothing more.
//!
//! A lease has no end in time, since no two clocks agree: it is given back ([`Lease::free`]), or taken over by who has the
//! same name. The name is that of a state directory, whose own lock says that the one before is dead. What nobody gives
//! back and nobody succeeds, a person removes; the refusal says which object that is.

use std::sync::Arc;

use docmill_api::{ErrorClass, StageError};
use futures::TryStreamExt;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::own::reason;

/// What the object of a lease holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Holder {
    /// Who may take it over.
    name: String,
    /// For people: where it is held.
    host: String,
    pid: u32,
    /// Whether it was given back.
    free: bool,
}

/// The right to write a place.
#[derive(Debug)]
pub struct Lease {
    store: Arc<dyn ObjectStore>,
    directory: Path,
    name: String,
    place: String,
    state: Mutex<State>,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Held(u64),
    /// Given back; its last epoch.
    Free(u64),
    /// Another has it, for good.
    Lost,
}

impl Lease {
    /// Takes the lease whose objects are in `directory`. `name` is who may succeed, and `place` what messages call it.
    ///
    /// # Errors
    /// Fatal: another holds it, or the store fails.
    pub async fn take(
        store: Arc<dyn ObjectStore>,
        directory: Path,
        name: String,
        place: String,
    ) -> Result<Self, StageError> {
        let lease = Self { store, directory, name, place, state: Mutex::new(State::Lost) };
        let epoch = lease.next(None).await.map_err(|error| StageError::fatal(error.message))?;
        *lease.state.lock().await = State::Held(epoch);
        Ok(lease)
    }

    /// Makes sure that nobody else has become the writer, and says in which epoch is written. A lease that was given back is
    /// taken again.
    ///
    /// # Errors
    /// Fatal: another holds it. Transient: the store fails.
    pub async fn check(&self) -> Result<u64, StageError> {
        let mut state = self.state.lock().await;
        let checked = match *state {
            State::Held(epoch) => self.is_held(epoch).await.map(|()| epoch),
            State::Free(epoch) => self.next(Some(epoch)).await,
            State::Lost => Err(StageError::fatal(format!("{}: another has become its writer", self.place))),
        };
        match &checked {
            Ok(epoch) => *state = State::Held(*epoch),
            Err(error) if error.class == ErrorClass::Fatal => *state = State::Lost,
            Err(_) => {}
        }
        checked
    }

    /// Gives it back, until it is asked for again.
    ///
    /// # Errors
    /// Transient: the store fails. Fatal: another holds it.
    pub async fn free(&self) -> Result<(), StageError> {
        let mut state = self.state.lock().await;
        let State::Held(epoch) = *state else { return Ok(()) };
        if let Err(error) = self.is_held(epoch).await {
            if error.class == ErrorClass::Fatal {
                *state = State::Lost;
            }
            return Err(error);
        }
        self.put(epoch, true, PutMode::Overwrite).await.map_err(|error| self.failed(&error))?;
        *state = State::Free(epoch);
        Ok(())
    }

    async fn is_held(&self, epoch: u64) -> Result<(), StageError> {
        match self.store.head(&self.object(epoch)).await {
            Ok(_) => Ok(()),
            Err(Error::NotFound { .. }) => Err(match self.latest().await? {
                Some((_, other)) => self.refused(&other, "has become the writer"),
                None => StageError::fatal(format!("{}: the lease of its writer was removed", self.place)),
            }),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Makes the object of the next epoch, and removes those before it.
    /// `own` is the last epoch of who had given it back: what another has taken since is not its own, whatever the name.
    async fn next(&self, own: Option<u64>) -> Result<u64, StageError> {
        let latest = self.latest().await?;
        let epoch = match &latest {
            Some((_, holder)) if !holder.free && (own.is_some() || holder.name != self.name) => {
                return Err(self.refused(holder, "writes it"));
            }
            Some((epoch, _)) => epoch + 1,
            None => 1,
        };
        match self.put(epoch, false, PutMode::Create).await {
            Ok(()) => {}
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                return Err(StageError::fatal(format!("{}: another process has just become its writer", self.place)));
            }
            Err(error) => return Err(self.failed(&error)),
        }
        for earlier in self.epochs().await?.into_iter().filter(|earlier| *earlier < epoch) {
            match self.store.delete(&self.object(earlier)).await {
                Ok(()) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(&error)),
            }
        }
        Ok(epoch)
    }

    async fn put(&self, epoch: u64, free: bool, mode: PutMode) -> object_store::Result<()> {
        let host = host();
        let holder = Holder { name: self.name.clone(), host, pid: std::process::id(), free };
        let text = serde_json::to_vec(&holder).unwrap_or_default();
        let options = PutOptions { mode, ..PutOptions::default() };
        self.store.put_opts(&self.object(epoch), text.into(), options).await.map(drop)
    }

    async fn latest(&self) -> Result<Option<(u64, Holder)>, StageError> {
        let Some(epoch) = self.epochs().await?.into_iter().max() else { return Ok(None) };
        let found = async { self.store.get(&self.object(epoch)).await?.bytes().await };
        let text = found.await.map_err(|error| self.failed(&error))?;
        let holder = serde_json::from_slice(&text).map_err(|_| {
            StageError::fatal(format!("{}: the object `{}` is no lease of a writer", self.place, self.object(epoch)))
        })?;
        Ok(Some((epoch, holder)))
    }

    async fn epochs(&self) -> Result<Vec<u64>, StageError> {
        let listed = self.store.list(Some(&self.directory)).try_collect::<Vec<_>>().await;
        let listed = listed.map_err(|error| self.failed(&error))?;
        Ok(listed.iter().filter_map(|meta| meta.location.filename()?.parse().ok()).collect())
    }

    fn object(&self, epoch: u64) -> Path {
        self.directory.clone().join(format!("{epoch:020}"))
    }

    fn refused(&self, holder: &Holder, what: &str) -> StageError {
        let (host, pid, place, directory) = (&holder.host, holder.pid, &self.place, &self.directory);
        StageError::fatal(format!(
            "{place}: process {pid} on `{host}` {what}, with another state directory: wait for its end, start on the \
             same state directory to succeed it, or, where it is gone for good, remove the objects below `{directory}`"
        ))
    }

    fn failed(&self, error: &Error) -> StageError {
        StageError::transient(format!("{}: the lease of its writer: {}", self.place, reason(error)))
    }
}

/// This machine's name; `?` where it is not known.
#[must_use]
pub fn host() -> String {
    let named = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    named.or_else(|| std::env::var("HOSTNAME").ok()).map_or_else(|| "?".into(), |name| name.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    async fn take(store: &Arc<InMemory>, name: &str) -> Result<Lease, StageError> {
        Lease::take(Arc::clone(store) as _, Path::from("t.writer"), name.into(), "table `t`".into()).await
    }

    #[tokio::test]
    async fn one_writes_at_a_time_and_its_successor_has_its_name() {
        let store = Arc::new(InMemory::new());
        let first = take(&store, "a").await.unwrap();
        assert_eq!(first.check().await.unwrap(), 1);
        let refused = take(&store, "b").await.unwrap_err();
        assert_eq!(refused.class, ErrorClass::Fatal);
        assert!(refused.message.contains("writes it") && refused.message.contains("t.writer"), "{refused}");

        let successor = take(&store, "a").await.unwrap();
        assert_eq!(successor.check().await.unwrap(), 2);
        let fenced = first.check().await.unwrap_err();
        assert!(fenced.class == ErrorClass::Fatal && fenced.message.contains("has become the writer"), "{fenced}");
        first.free().await.unwrap();
        assert!(first.check().await.is_err(), "what is lost is not given back, and not taken again");
        assert!(take(&store, "b").await.is_err(), "who was succeeded gives nothing back");
        successor.free().await.unwrap();
        let next = take(&store, "a").await.unwrap();
        assert!(successor.check().await.is_err(), "it was given back, and another took it under the same name");
        assert_eq!(next.check().await.unwrap(), 3);
    }

    #[tokio::test]
    async fn what_was_given_back_is_free_for_all_and_taken_again_when_needed() {
        let store = Arc::new(InMemory::new());
        let first = take(&store, "a").await.unwrap();
        first.free().await.unwrap();
        first.free().await.unwrap();
        assert_eq!(first.check().await.unwrap(), 2, "nobody took it meanwhile");
        first.free().await.unwrap();
        let second = take(&store, "b").await.unwrap();
        assert_eq!(second.check().await.unwrap(), 3);
        assert!(first.check().await.is_err());
        assert_eq!(store.list(None).try_collect::<Vec<_>>().await.unwrap().len(), 1, "earlier epochs are removed");
    }

    #[tokio::test]
    async fn of_two_at_once_one_is_the_writer() {
        let store = Arc::new(InMemory::new());
        let taken = futures::future::join_all((0..8).map(|name| take_as(Arc::clone(&store), name))).await;
        let mut good = 0;
        for lease in taken.into_iter().flatten() {
            good += usize::from(lease.check().await.is_ok());
        }
        assert_eq!(good, 1);
    }

    async fn take_as(store: Arc<InMemory>, name: usize) -> Result<Lease, StageError> {
        take(&store, &name.to_string()).await
    }
}
