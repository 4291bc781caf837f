//! Whether a store keeps two writers apart.

use docmill_api::StageError;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt, PutMode, PutOptions};

use crate::own::reason;

/// Sees whether an object that is there is left alone by a write which asks for that (`If-None-Match: *`). A table's
/// versions, and who may write them, depend on it; some stores, and proxies before stores, take no notice.
///
/// # Errors
/// Fatal: it does not, or may not be written to.
pub async fn probe(store: &dyn ObjectStore, prefix: &Path, place: &str) -> Result<(), StageError> {
    let key = prefix.clone().join(format!(".docmill-probe-{:016x}", fastrand::u64(..)));
    let first = create(store, &key).await;
    if let Err(error) = first {
        return Err(StageError::fatal(format!("`{place}` cannot be written: {}", reason(&error))));
    }
    let second = create(store, &key).await;
    let _ = store.delete(&key).await;
    match second {
        Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => Ok(()),
        Ok(()) => Err(StageError::fatal(format!(
            "`{place}` writes over what is there although it is asked not to (`If-None-Match: *`): two writers would \
             destroy each other's rows, so nothing is written there; name a store that knows conditional writes"
        ))),
        Err(error) => Err(StageError::fatal(format!("`{place}` does not take conditional writes: {}", reason(&error)))),
    }
}

async fn create(store: &dyn ObjectStore, key: &Path) -> object_store::Result<()> {
    let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
    store.put_opts(key, "docmill".into(), options).await.map(drop)
}
