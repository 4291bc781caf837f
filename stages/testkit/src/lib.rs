//! What a stage author tests with: builders of records, a conformance suite that every stage has to pass, and fakes
//! that list, fail, hang and store as a test wants.
//!
//! A dev-dependency: nothing here ships. See [`conformance`] for the properties and how to call it, and [`fakes`] for
//! the kinds that a test pipeline can be made of.

pub mod conformance;
pub mod fakes;
pub mod moto;
pub mod records;
