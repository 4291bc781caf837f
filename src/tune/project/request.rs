//! What is asked of a projection: `cores=64,memory=256GiB,documents=1e9,machines=4,width.embed=100,rate.work=6000/min`.
//! Whether there is such a stage or service is not known here.

use std::collections::BTreeMap;
use std::str::FromStr;

use docmill_api::units::parse_size;

use crate::plan::nearest_or_list;

/// The keys as they are shown to people.
const KEYS: [&str; 7] =
    ["cores", "memory", "documents", "machines", "width.STAGE", "rate.SERVICE", "concurrency.SERVICE"];
/// Their beginnings: what a typing error is compared with.
const NAMES: [&str; 7] = ["cores", "memory", "documents", "machines", "width", "rate", "concurrency"];
/// More than this is no longer simulated in a moment, and no measurement of one machine says anything of it.
const CORES: f64 = 4096.0;
const MACHINES: usize = 1_000;
/// A width beyond it brings nothing, as the pipeline file says as well.
const WIDTH: usize = 4096;

/// The machine that is asked about, and what is changed of the pipeline.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Request {
    /// CPUs of a machine; none for as many as the run had.
    pub cores: Option<f64>,
    /// Memory of a machine in bytes; none for as much as the run had.
    pub memory: Option<u64>,
    /// How many documents there are to do; none where only the rate is asked.
    pub documents: Option<u64>,
    /// How many such machines; none for one.
    pub machines: Option<usize>,
    /// Widths that are set and not reckoned, by stage; of one machine.
    pub widths: BTreeMap<String, usize>,
    /// Calls a minute that a service takes from all machines together.
    pub rates: BTreeMap<String, f64>,
    /// Calls at once that a service takes from all machines together.
    pub concurrency: BTreeMap<String, usize>,
}

impl FromStr for Request {
    type Err = String;

    /// Reads `KEY=VALUE,…`; each key once.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut request = Self::default();
        let mut seen: Vec<&str> = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let Some((key, value)) = part.split_once('=').map(|(key, value)| (key.trim(), value.trim())) else {
                return Err(format!("`{part}` has no value; write KEY=VALUE, as `cores=64`"));
            };
            if seen.contains(&key) {
                return Err(format!("`{key}` is given twice"));
            }
            seen.push(key);
            request.take(key, value)?;
        }
        if seen.is_empty() {
            return Err(format!("nothing is asked; the keys are {}", keys()));
        }
        Ok(request)
    }
}

impl Request {
    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match (key.split_once('.'), key) {
            (None, "cores") => self.cores = Some(cores(value)?),
            (None, "memory") => self.memory = Some(memory(value)?),
            (None, "documents") => self.documents = Some(documents(value)?),
            (None, "machines") => self.machines = Some(whole(key, value, MACHINES)?),
            (Some(("width", stage)), _) if !stage.is_empty() => {
                self.widths.insert(stage.to_owned(), whole(key, value, WIDTH)?);
            }
            (Some(("rate", service)), _) if !service.is_empty() => {
                self.rates.insert(service.to_owned(), per_minute(key, value)?);
            }
            (Some(("concurrency", service)), _) if !service.is_empty() => {
                self.concurrency.insert(service.to_owned(), whole(key, value, WIDTH)?);
            }
            (of, _) => return Err(unknown(key, of.map_or(key, |(name, _)| name))),
        }
        Ok(())
    }
}

fn keys() -> String {
    KEYS.map(|key| format!("`{key}`")).join(", ")
}

fn unknown(key: &str, name: &str) -> String {
    let near = nearest_or_list(name, &NAMES).filter(|near| near.starts_with("did you mean") && !NAMES.contains(&name));
    let near = near.map(|near| format!("; {near}")).unwrap_or_default();
    format!("unknown key `{key}`{near}\nhint: the keys are {}", keys())
}

fn cores(value: &str) -> Result<f64, String> {
    let cores = value.parse().ok().filter(|cores: &f64| (0.1..=CORES).contains(cores));
    cores.ok_or_else(|| format!("`cores={value}` is no number of CPUs; it is from 0.1 to {CORES}"))
}

fn memory(value: &str) -> Result<u64, String> {
    let size = parse_size(value).map_err(|error| format!("`memory={value}`: {error}"))?;
    if size.0 < 64 << 20 {
        return Err(format!("`memory={value}` is too little: a machine has 64MiB at least"));
    }
    Ok(size.0)
}

/// A number of documents may be written as `1e9`.
fn documents(value: &str) -> Result<u64, String> {
    let number = value.replace('_', "").parse().ok().filter(|number: &f64| (1.0..=1e15).contains(number));
    number
        .map(|number| number.round() as u64)
        .ok_or_else(|| format!("`documents={value}` is no number of documents; write `1000000` or `1e6`"))
}

fn whole(key: &str, value: &str, most: usize) -> Result<usize, String> {
    let number = value.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("`{key}={value}` is out of bounds; it is a whole number from 1 to {most}"))
}

/// Calls a minute: `6000/min`, `100/s`, `360000/h`; a number alone is a minute's.
fn per_minute(key: &str, value: &str) -> Result<f64, String> {
    let (number, unit) = value.split_once('/').unwrap_or((value, "min"));
    let times = match unit.trim() {
        "s" | "second" => Some(60.0),
        "min" | "minute" => Some(1.0),
        "h" | "hour" => Some(1.0 / 60.0),
        _ => None,
    };
    let rate = number.trim().parse::<f64>().ok().zip(times).map(|(number, times)| number * times);
    rate.filter(|rate| rate.is_finite() && *rate > 0.0)
        .ok_or_else(|| format!("`{key}={value}` is no rate; write calls as `6000/min`, `100/s` or `360000/h`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        text.parse::<Request>().expect_err("it is refused")
    }

    #[test]
    fn every_key_is_read() {
        let text =
            "cores=64, memory=256GiB,documents=1e9,machines=4,width.embed=100,rate.work=100/s,concurrency.work=50";
        let request: Request = text.parse().expect("all keys");
        assert_eq!((request.cores, request.memory), (Some(64.0), Some(256 << 30)));
        assert_eq!((request.documents, request.machines), (Some(1_000_000_000), Some(4)));
        assert_eq!((request.widths["embed"], request.concurrency["work"]), (100, 50));
        assert!((request.rates["work"] - 6000.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_wrong_is_named_with_what_would_be_right() {
        let error = refused("core=64");
        assert!(
            error.starts_with("unknown key `core`; did you mean `cores`?\nhint: the keys are `cores`, "),
            "{error}"
        );
        assert!(refused("widths.embed=3").contains("did you mean `width`?"));
        let error = refused("width=3");
        assert!(error.starts_with("unknown key `width`\nhint: ") && error.contains("`width.STAGE`"), "{error}");
        assert!(refused("zebra=3").starts_with("unknown key `zebra`\n"));
        for wrong in ["cores=0", "cores=NaN", "memory=3", "documents=0", "machines=0", "width.a=0", "rate.work=5/day"] {
            assert!(refused(wrong).contains(wrong), "{wrong}: {}", refused(wrong));
        }
        assert!(refused("cores").contains("has no value") && refused("").contains("nothing is asked"));
        assert!(refused("cores=1,cores=2").contains("twice"));
    }
}
