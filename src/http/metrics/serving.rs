//! The service around the run, and the model services that the run asks.

use std::collections::{BTreeMap, BTreeSet};

use docmill_api::ServiceReport;

use super::ServiceFigures;
use super::family::{Family, Number, counter, gauge, label};

/// The rules of [`Alerts`](crate::tune::Alerts): each has a figure, also while it is silent.
const RULES: [&str; 6] = ["error_rate", "memory", "queue_full", "slow_document", "stalled", "throttled"];

/// The states of a breaker.
const BREAKER: [&str; 3] = ["ok", "probing", "open"];

/// What every service may answer with when it is asked too much; a rate needs the 0 before the 1.
const REFUSALS: [&str; 2] = ["rate_limited", "overloaded"];

/// What the service says of itself.
pub(super) fn families(service: &ServiceFigures) -> Vec<Family> {
    let on: BTreeSet<(&str, &str)> =
        service.alerts.iter().map(|alert| (alert.rule.as_str(), alert.stage.as_str())).collect();
    let silent = RULES.iter().filter(|rule| on.iter().all(|(other, _)| other != *rule));
    let silent = silent.map(|rule| ((*rule, ""), false));
    let alerts = on.iter().map(|alert| (*alert, true)).chain(silent);
    let alerts = alerts.map(|((rule, stage), is)| (vec![("rule", rule.to_owned()), ("stage", stage.to_owned())], is));
    vec![
        gauge("ready", "1 where the service takes documents.").is(service.ready),
        gauge("queue_length", "Documents that were accepted and wait for the run.").is(service.queue_length),
        gauge("queue_capacity", "How many documents may wait.").is(service.queue_capacity),
        gauge("queue_oldest_seconds", "How long the oldest of them has waited.").is(service.queue_oldest_seconds),
        counter("queue_refused", "Documents that were answered with 503.").is(service.refused),
        gauge("spool_bytes", "Bytes of uploads that are kept on disk.").is(service.spool_bytes),
        gauge("memory_alert", "1 where more of the memory budget is in use than is well.").is(service.memory_alert),
        gauge("alerts", "1 for a rule that is raised, with the stage that it is about; 0 for a rule that is not.")
            .with_all(alerts),
        gauge("http_connections", "Connections that are open.").is(service.connections),
        gauge("http_connections_limit", "How many connections may be open.").is(service.connections_limit),
        counter("http_connections_refused", "Connections that were turned away.").is(service.connections_refused),
    ]
}

/// What is said of each model service, by the name that the pipeline gives it.
pub(super) fn models(services: &BTreeMap<String, ServiceReport>) -> Vec<Family> {
    let of = |family: Family, figure: fn(&ServiceReport) -> Number| {
        family.with_all(services.iter().map(|(name, report)| (label("service", name), figure(report))))
    };
    let errors = services.iter().flat_map(|(name, report)| {
        let mut classes: BTreeMap<&str, u64> = REFUSALS.iter().map(|class| (*class, 0)).collect();
        classes.extend(report.errors.iter().map(|(class, count)| (class.as_str(), *count)));
        let labels = move |class: &str| vec![("service", name.clone()), ("class", class.to_owned())];
        classes.into_iter().map(move |(class, count)| (labels(class), count))
    });
    let breaker = gauge("service_breaker_state", "1 for the breaker's state, 0 for the others; `open` is left alone.");
    let breaker = services
        .iter()
        .fold(breaker, |family, (name, report)| family.with_states(&label("service", name), BREAKER, &report.breaker));
    vec![
        of(counter("service_calls", "Calls that were sent to the model service."), |report| report.calls.into()),
        counter("service_errors", "Calls that failed, by class.").with_all(errors),
        of(counter("service_tokens", "Tokens of prompts and answers."), |report| report.tokens.into()),
        of(counter("service_cost", "What they cost, by the prices that are configured."), |report| report.cost.into()),
        breaker,
        of(counter("service_breaker_opened", "How often it was left alone since it did not answer."), |report| {
            report.breaker_opened.into()
        }),
        of(gauge("service_calls_in_flight", "Calls under way."), |report| report.in_flight.into()),
        of(gauge("service_calls_limit", "How many calls it is sent at once at most; 0 for any number."), |report| {
            report.concurrency.into()
        }),
        of(
            gauge(
                "service_requests_per_minute_limit",
                "How many requests a minute it is sent at most; 0 for any number.",
            ),
            |report| report.requests_per_minute.into(),
        ),
    ]
}
