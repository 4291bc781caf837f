//! A place in a whole object store, and in one that takes no notice of conditions.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::Arc;

use docmill_api::ErrorClass;
use docmill_objects::{Environment, Lease, Own, S3, Stores, probe};
use docmill_testkit::moto::Moto;
use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt};

fn own(endpoint: String) -> Own {
    let stores = Stores { s3: S3 { endpoint, ..S3::default() }, ..Stores::default() };
    let keys: Environment =
        [("AWS_ACCESS_KEY_ID", "x"), ("AWS_SECRET_ACCESS_KEY", "x")].map(|(k, v)| (k.into(), v.into())).into();
    Own::open("s3://mill/flour", &stores, &keys).unwrap()
}

#[tokio::test]
async fn a_whole_store_keeps_writers_apart() {
    let Some(moto) = Moto::start().unwrap() else { return };
    let own = own(moto.endpoint());
    let missing = probe(&own.bucket, &own.prefix, "s3://mill/flour").await.unwrap_err();
    assert!(missing.class == ErrorClass::Fatal && missing.message.contains("cannot be written"), "{missing}");
    moto.put("mill", b"").unwrap();
    probe(&own.bucket, &own.prefix, "s3://mill/flour").await.unwrap();
    let take = async |name: &str| {
        Lease::take(Arc::clone(&own.bucket), own.key("t.writer"), name.into(), "table `t`".into()).await
    };
    let first = take("a").await.unwrap();
    assert!(take("b").await.is_err());
    let second = take("a").await.unwrap();
    assert_eq!(second.check().await.unwrap(), 2);
    assert!(first.check().await.is_err());
    second.free().await.unwrap();
    take("b").await.unwrap();
    let left: Vec<_> = own.bucket.list(None).try_collect().await.unwrap();
    assert_eq!(left.len(), 1, "the lease, and nothing of the probe: {left:?}");
}

#[tokio::test]
async fn large_objects_go_in_parts_and_come_back() {
    let Some(moto) = Moto::start().unwrap() else { return };
    moto.put("mill", b"").unwrap();
    let own = own(moto.endpoint());
    let content: Vec<u8> = (0..23_u32 << 20).map(|at| (at % 251) as u8).collect();
    let mut writer = object_store::buffered::BufWriter::new(Arc::clone(&own.bucket), own.key("large"));
    writer.put(content.clone().into()).await.unwrap();
    tokio::io::AsyncWriteExt::shutdown(&mut writer).await.unwrap();
    let read = own.bucket.get(&own.key("large")).await.unwrap().bytes().await.unwrap();
    assert!(read == content, "{} of {} bytes", read.len(), content.len());
}

#[tokio::test]
async fn a_store_that_takes_no_notice_of_conditions_is_refused() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for peer in listener.incoming() {
            let mut peer = peer.unwrap();
            let mut head = [0; 4096];
            let _ = peer.read(&mut head);
            let _ = peer.write_all(b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    let own = own(endpoint);
    let refused = probe(&own.bucket, &own.prefix, "s3://mill/flour").await.unwrap_err();
    assert!(refused.class == ErrorClass::Fatal && refused.message.contains("If-None-Match"), "{refused}");
}
