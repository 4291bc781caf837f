//! The queue: NATS JetStream, as much of it as `nats-server` 2.9 knows. It acknowledges before its disk does and may forget;
//! nothing here is the record of anything.

use std::time::Duration;

use async_nats::jetstream;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, ServerAddr, Subscriber};
use docmill_api::{Digest, StageError};
use futures::{Stream, StreamExt};
use serde::Serialize;
use tokio::time::Instant;

use super::message::Job;
use crate::plan::ClusterPlan;

pub(super) use async_nats::jetstream::{AckKind, Message};

/// How long a queue that does not answer is waited for, at the start.
const PATIENCE: Duration = Duration::from_secs(600);

/// The first and the longest delay between two attempts to reach it.
const DELAYS: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(10));

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// How long a fetch waits for the first message.
const FETCH: Duration = Duration::from_secs(2);

/// A stream with its one consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Jobs,
    Answers,
}

impl Lane {
    fn name(self) -> &'static str {
        match self {
            Self::Jobs => "jobs",
            Self::Answers => "answers",
        }
    }
}

/// A queue that was reached.
#[derive(Clone, Debug)]
pub(super) struct Queue {
    plan: ClusterPlan,
    client: Client,
    context: Context,
}

impl Queue {
    /// Reaches the queue; waits where it does not answer, and says so.
    ///
    /// # Errors
    /// Fatal: it refuses the credentials, or does not answer for ten minutes.
    pub(super) async fn open(plan: &ClusterPlan) -> Result<Self, StageError> {
        Self::reach(plan, true).await
    }

    /// The same without a word, beside somebody who says it.
    pub(super) async fn open_quietly(plan: &ClusterPlan) -> Result<Self, StageError> {
        Self::reach(plan, false).await
    }

    async fn reach(plan: &ClusterPlan, says_so: bool) -> Result<Self, StageError> {
        let begun = Instant::now();
        let mut delay = DELAYS.0;
        loop {
            let error = match options(plan).await?.connect(servers(plan)?).await {
                Ok(client) => {
                    let mut context = async_nats::jetstream::new(client.clone());
                    context.set_timeout(REQUEST);
                    return Ok(Self { plan: plan.clone(), client, context });
                }
                Err(error) => error,
            };
            let message = format!("the queue at {}: {error}", plan.url);
            match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    return Err(StageError::fatal(format!("{message}: it refuses the credentials of `[queue]`")));
                }
                _ if begun.elapsed() > PATIENCE => return Err(StageError::fatal(message)),
                _ if says_so && delay == DELAYS.0 => {
                    tracing::warn!("{message}: it is waited for, {} s at most", PATIENCE.as_secs());
                }
                _ => {}
            }
            tokio::time::sleep(delay).await;
            delay = (delay * 2).min(DELAYS.1);
        }
    }

    /// Makes the streams and consumers that are missing, and has those that are there do as `[queue]` says now.
    pub(super) async fn set_up(&self) -> Result<(), StageError> {
        for lane in [Lane::Jobs, Lane::Answers] {
            let made = self.made(lane).await?.create_consumer(self.terms()).await;
            made.map_err(|error| self.away(&error))?;
        }
        Ok(())
    }

    /// Makes the streams and consumers that are missing.
    pub(super) async fn make(&self) -> Result<(), StageError> {
        for lane in [Lane::Jobs, Lane::Answers] {
            self.consumer(lane).await?;
        }
        Ok(())
    }

    /// Whether somebody waits for answers.
    pub(super) async fn is_listened_to(&self) -> Result<bool, StageError> {
        let mut consumer = self.consumer(Lane::Answers).await?;
        let info = consumer.info().await.map_err(|error| self.away(&error))?;
        Ok(info.num_waiting > 0)
    }

    /// Drops all messages.
    pub(super) async fn empty(&self) -> Result<(), StageError> {
        for lane in [Lane::Jobs, Lane::Answers] {
            let stream = self.context.get_stream(self.stream(lane)).await.map_err(|error| self.away(&error))?;
            stream.purge().await.map_err(|error| self.away(&error))?;
        }
        Ok(())
    }

    fn stream(&self, lane: Lane) -> String {
        format!("{}-{}", self.plan.stream, lane.name())
    }

    fn subject(&self, lane: Lane) -> String {
        self.place(lane.name())
    }

    fn place(&self, name: &str) -> String {
        format!("docmill.{}.{name}", self.plan.stream)
    }

    /// The consumer of a lane, made with its stream where they are missing.
    pub(super) async fn consumer(&self, lane: Lane) -> Result<PullConsumer, StageError> {
        let consumer = self.made(lane).await?.get_or_create_consumer("docmill", self.terms()).await;
        consumer.map_err(|error| self.away(&error))
    }

    async fn made(&self, lane: Lane) -> Result<jetstream::stream::Stream, StageError> {
        let stream = Config {
            name: self.stream(lane),
            subjects: vec![self.subject(lane)],
            retention: RetentionPolicy::WorkQueue,
            storage: StorageType::File,
            num_replicas: self.plan.replicas,
            ..Config::default()
        };
        self.context.get_or_create_stream(stream).await.map_err(|error| {
            let unsupported = matches!(error.kind(), async_nats::jetstream::context::CreateStreamErrorKind::JetStream(ref error)
                if error.error_code() == ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT);
            match self.away(&error) {
                error if unsupported => StageError::fatal(error.message).context("JetStream is not enabled"),
                error => error,
            }
        })
    }

    fn terms(&self) -> pull::Config {
        pull::Config {
            durable_name: Some("docmill".to_owned()),
            ack_policy: AckPolicy::Explicit,
            ack_wait: self.plan.ack_wait,
            max_ack_pending: i64::try_from(self.plan.in_flight).unwrap_or(i64::MAX),
            ..pull::Config::default()
        }
    }

    /// Up to so many messages, each as it comes; waits for the first for a moment, and may give none.
    pub(super) async fn fetch(
        &self,
        consumer: &PullConsumer,
        most: usize,
    ) -> Result<impl Stream<Item = Result<Message, StageError>> + Unpin + use<>, StageError> {
        let batch = consumer.fetch().max_messages(most).expires(FETCH).messages();
        let batch = batch.await.map_err(|error| self.away(&error))?;
        let queue = self.clone();
        Ok(batch.map(move |message| message.map_err(|error| queue.away(&error))))
    }

    /// Publishes a message and says where in its stream it stands. The same `id` twice within two minutes is one message.
    pub(super) async fn publish(&self, lane: Lane, id: &str, message: &impl Serialize) -> Result<u64, StageError> {
        let payload = serde_json::to_vec(message).map_err(|error| self.away(&error))?;
        let message = PublishMessage::build().message_id(id).payload(payload.into());
        let published = async { self.context.send_publish(self.subject(lane), message).await?.await };
        match tokio::time::timeout(REQUEST, published).await {
            Ok(Ok(ack)) => Ok(ack.sequence),
            Ok(Err(error)) => Err(self.away(&error)),
            Err(_) => Err(self.away(&"no answer")),
        }
    }

    /// Whether a job's message is still in its stream.
    pub(super) async fn holds(&self, sequence: u64, job: Digest) -> Result<bool, StageError> {
        use async_nats::jetstream::stream::RawMessageErrorKind;
        let stream =
            self.context.get_stream_no_info(self.stream(Lane::Jobs)).await.map_err(|error| self.away(&error))?;
        match stream.get_raw_message(sequence).await {
            // After its directory was wiped another message may stand there.
            Ok(message) => Ok(serde_json::from_slice::<Job>(&message.payload).is_ok_and(|found| found.id == job)),
            Err(error) => match error.kind() {
                RawMessageErrorKind::NoMessageFound => Ok(false),
                RawMessageErrorKind::JetStream(ref inner)
                    if [ErrorCode::STREAM_NOT_FOUND, ErrorCode::NO_MESSAGE_FOUND].contains(&inner.error_code()) =>
                {
                    Ok(false)
                }
                _ => Err(self.away(&error)),
            },
        }
    }

    /// Takes a job's message out of its stream, where it still is.
    pub(super) async fn withdraw(&self, sequence: u64, job: Digest) {
        if self.holds(sequence, job).await.unwrap_or(false)
            && let Ok(stream) = self.context.get_stream_no_info(self.stream(Lane::Jobs)).await
        {
            let _ = stream.delete_message(sequence).await;
        }
    }

    /// Says something to whoever hears it now.
    pub(super) async fn say(&self, at: &str, what: &impl Serialize) -> Result<(), StageError> {
        let payload = serde_json::to_vec(what).map_err(|error| self.away(&error))?;
        let said = self.client.publish(self.place(at), payload.into());
        match tokio::time::timeout(REQUEST, said).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(self.away(&error)),
            Err(_) => Err(self.away(&"no answer")),
        }
    }

    /// Hears what is said there from now on.
    pub(super) async fn hear(&self, at: &str) -> Result<Subscriber, StageError> {
        self.client.subscribe(self.place(at)).await.map_err(|error| self.away(&error))
    }

    /// Sends what is still to be sent.
    pub(super) async fn flush(&self) {
        let _ = tokio::time::timeout(REQUEST, self.client.flush()).await;
    }

    fn away(&self, error: &dyn std::fmt::Display) -> StageError {
        StageError::overload(format!("the queue at {}: {error}", self.plan.url))
    }
}

fn servers(plan: &ClusterPlan) -> Result<Vec<ServerAddr>, StageError> {
    let address = |text: &str| {
        text.trim().parse().map_err(|error| StageError::fatal(format!("`url` of `[queue]`: `{text}`: {error}")))
    };
    plan.url.split(',').map(address).collect()
}

/// How to connect: credentials by file or by variable, TLS where certificates are named or the address says so.
async fn options(plan: &ClusterPlan) -> Result<ConnectOptions, StageError> {
    let variable = |field: &str, name: &str| {
        std::env::var(name)
            .map_err(|_| StageError::fatal(format!("`{field}` of `[queue]` names `{name}`, which is not set")))
    };
    let mut options = ConnectOptions::new().name("docmill").connection_timeout(REQUEST);
    if !plan.password_env.is_empty() {
        options = options.user_and_password(plan.user.clone(), variable("password_env", &plan.password_env)?);
    }
    if !plan.token_env.is_empty() {
        options = options.token(variable("token_env", &plan.token_env)?);
    }
    if let Some(path) = &plan.credentials {
        options = options
            .credentials_file(path)
            .await
            .map_err(|error| StageError::fatal(format!("the credentials `{}`: {error}", path.display())))?;
    }
    if let Some(path) = &plan.ca {
        options = options.add_root_certificates(path.clone()).require_tls(true);
    }
    Ok(options)
}
