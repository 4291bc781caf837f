//! The pipeline as a service: the real program on a real port. What is accepted is finished, what is refused says so, and
//! nobody sees what is another's.

mod documents;
mod flood;
mod keys;
mod outside;
pub(crate) mod served;
mod submit;
