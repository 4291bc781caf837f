//! A family of figures: a name, what it means, and a figure for each set of labels. Plain data, and how it is written.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{
    CounterValueEncoder, DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, GaugeValueEncoder, MetricEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;

/// Names of labels with their values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// A figure, in its family's unit. Whole numbers stay whole: a count of bytes may be beyond what a float tells apart.
#[derive(Clone, Copy, Debug)]
pub(super) enum Number {
    Whole(u64),
    Real(f64),
}

/// What a family says for one set of labels.
#[derive(Debug)]
enum Value {
    Number(Number),
    /// Times in seconds: their sum, and how many there are up to each bound and beyond the one before.
    Times {
        sum: f64,
        buckets: Vec<(f64, u64)>,
    },
}

/// One family. Its name has neither the prefix nor the `_total` of a counter: the encoder adds both.
#[derive(Debug)]
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<(Labels, Value)>,
}

/// A family of figures that only grow, from the run's start.
pub(super) fn counter(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: MetricType::Counter, samples: Vec::new() }
}

/// A family of figures of now.
pub(super) fn gauge(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: MetricType::Gauge, samples: Vec::new() }
}

/// A family of times by how many took how long.
pub(super) fn histogram(name: &'static str, help: &'static str) -> Family {
    Family { name, help, kind: MetricType::Histogram, samples: Vec::new() }
}

/// One label.
pub(super) fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

impl Family {
    /// With the one figure that there is.
    pub(super) fn is(self, number: impl Into<Number>) -> Self {
        self.with(Labels::new(), number)
    }

    /// With a figure for these labels.
    pub(super) fn with(mut self, labels: Labels, number: impl Into<Number>) -> Self {
        self.samples.push((labels, Value::Number(number.into())));
        self
    }

    /// With a figure for each of these labels.
    pub(super) fn with_all<N: Into<Number>>(self, figures: impl IntoIterator<Item = (Labels, N)>) -> Self {
        figures.into_iter().fold(self, |family, (labels, number)| family.with(labels, number))
    }

    /// With 1 for the state that holds and 0 for the others, so that a state that never was can be asked for too.
    pub(super) fn with_states<'a>(self, of: &Labels, states: impl IntoIterator<Item = &'a str>, now: &str) -> Self {
        let labels = |state: &str| of.iter().cloned().chain(label("state", state)).collect();
        self.with_all(states.into_iter().map(|state| (labels(state), state == now)))
    }

    /// With times for these labels.
    pub(super) fn with_times(mut self, labels: Labels, sum: f64, buckets: Vec<(f64, u64)>) -> Self {
        self.samples.push((labels, Value::Times { sum, buckets }));
        self
    }
}

/// Families as the registry takes them.
#[derive(Debug)]
pub(super) struct Families(pub(super) Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        for family in &self.0 {
            let metric = encoder.encode_descriptor(family.name, family.help, None, family.kind)?;
            family.encode(metric)?;
        }
        Ok(())
    }
}

impl Family {
    fn encode(&self, mut metric: MetricEncoder) -> fmt::Result {
        for (labels, value) in &self.samples {
            let mut metric = metric.encode_family(labels)?;
            match value {
                Value::Number(number) if self.kind == MetricType::Counter => {
                    metric.encode_counter::<NoLabelSet, _, f64>(number, None)?;
                }
                Value::Number(number) => metric.encode_gauge(number)?,
                Value::Times { sum, buckets } => {
                    let count = buckets.iter().map(|(_, times)| times).sum();
                    metric.encode_histogram::<NoLabelSet>(*sum, count, buckets, None)?;
                }
            }
        }
        Ok(())
    }
}

impl EncodeCounterValue for Number {
    fn encode(&self, encoder: &mut CounterValueEncoder) -> fmt::Result {
        match self {
            Self::Whole(number) => EncodeCounterValue::encode(number, encoder),
            Self::Real(number) => EncodeCounterValue::encode(number, encoder),
        }
    }
}

impl EncodeGaugeValue for Number {
    fn encode(&self, encoder: &mut GaugeValueEncoder) -> fmt::Result {
        match self {
            Self::Whole(number) => EncodeGaugeValue::encode(number, encoder),
            Self::Real(number) => EncodeGaugeValue::encode(number, encoder),
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::Whole(number)
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::Whole(number as u64)
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        Self::Real(number)
    }
}

impl From<bool> for Number {
    fn from(is: bool) -> Self {
        Self::Whole(u64::from(is))
    }
}
