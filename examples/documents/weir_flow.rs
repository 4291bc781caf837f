//! How much water goes over the weir of the Alder Brook Mill, and how much power the wheel may hope for.
//!
//! The weir is a broad rectangular one. The formula is Poleni's; the coefficient was measured by the apprentices with
//! a bucket raft and a stop watch, in three dry summers.

/// Metres per second squared.
const GRAVITY: f64 = 9.81;

/// Discharge coefficient of our weir: its crest is rounded and a little mossy.
const COEFFICIENT: f64 = 0.54;

/// Share of the water's power that reaches the stones through wheel, gears and shaft.
const WHEEL_EFFICIENCY: f64 = 0.62;

/// A weir with a level crest.
#[derive(Clone, Copy, Debug)]
pub struct Weir {
    /// Width of the crest in metres.
    pub width: f64,
    /// Fall from the pond to the tail race in metres.
    pub fall: f64,
}

/// Why a reading of the gauge is of no use.
#[derive(Debug, PartialEq)]
pub enum GaugeError {
    /// The gauge was read upside down, or is dry.
    Negative,
    /// Higher than the footbridge: somebody read centimetres as metres.
    AboveFootbridge,
}

impl Weir {
    /// Discharge in cubic metres per second for a head of water over the crest, in metres.
    pub fn discharge(&self, head: f64) -> Result<f64, GaugeError> {
        if head < 0.0 {
            return Err(GaugeError::Negative);
        }
        if head > 2.0 {
            return Err(GaugeError::AboveFootbridge);
        }
        Ok(2.0 / 3.0 * COEFFICIENT * self.width * (2.0 * GRAVITY).sqrt() * head.powf(1.5))
    }

    /// Power at the stones in kilowatts: a pair of stones wants about five.
    pub fn power(&self, head: f64) -> Result<f64, GaugeError> {
        Ok(self.discharge(head)? * self.fall * GRAVITY * WHEEL_EFFICIENCY)
    }

    /// How many pairs of stones may be thrown into gear.
    pub fn pairs_of_stones(&self, head: f64) -> Result<u32, GaugeError> {
        let pairs = (self.power(head)? / 5.0).floor();
        Ok((pairs as u32).min(2))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALDER_BROOK: Weir = Weir { width: 4.2, fall: 3.1 };

    #[test]
    fn a_dry_weir_turns_no_stone() {
        assert_eq!(ALDER_BROOK.pairs_of_stones(0.0), Ok(0));
    }

    #[test]
    fn centimetres_are_no_metres() {
        assert_eq!(ALDER_BROOK.discharge(35.0), Err(GaugeError::AboveFootbridge));
    }
}
