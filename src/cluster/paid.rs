//! What workers paid a model for, by hash among the blobs: a document that a worker loses is not paid for twice, and neither
//! is one that comes again under another ledger.

use std::time::Duration;

use bytes::Bytes;
use docmill_api::{Digest, PaidResults, StageError, async_trait};
use futures::{StreamExt, TryStreamExt, stream};

use super::blobs::Blobs;

/// How many results are asked for or kept at once: a store answers each after some tens of milliseconds.
const TOGETHER: usize = 64;

/// How long a result is kept. Nothing renews it: who runs a pipeline once a month pays once a month.
pub(super) const KEPT: Duration = Duration::from_secs(30 * 86_400);

/// Results among the blobs of a stream.
pub(super) struct PaidBlobs(pub(super) Blobs);

#[async_trait]
impl PaidResults for PaidBlobs {
    async fn recall(&self, keys: &[Digest]) -> Result<Vec<Option<Bytes>>, StageError> {
        let asked: Vec<_> = keys.iter().map(|key| self.0.paid(*key)).collect();
        stream::iter(asked).buffered(TOGETHER).try_collect().await
    }

    async fn keep(&self, results: Vec<(Digest, Bytes)>) -> Result<(), StageError> {
        let kept: Vec<_> = results.into_iter().map(|(key, result)| self.0.keep_paid(key, result)).collect();
        stream::iter(kept).buffer_unordered(TOGETHER).try_collect().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_one_worker_paid_for_another_recalls() {
        let place = tempfile::tempdir().expect("a directory");
        let open = || PaidBlobs(Blobs::at(place.path()).expect("it is made"));
        let key = |number: u8| Digest::of(&[&[number]]);
        open().keep(vec![(key(1), "one".into()), (key(2), "two".into())]).await.expect("kept");
        let found = open().recall(&[key(2), key(3), key(1)]).await.expect("read");
        assert_eq!(found, [Some("two".into()), None, Some("one".into())]);
        let blobs = Blobs::at(place.path()).expect("it is there");
        blobs.clear().await;
        blobs.forget_paid(Duration::from_secs(60)).await;
        assert_eq!(open().recall(&[key(1)]).await.expect("read"), [Some("one".into())], "it is new, and of no job");
        blobs.forget_paid(Duration::ZERO).await;
        assert_eq!(open().recall(&[key(1)]).await.expect("read"), [None]);
    }
}
