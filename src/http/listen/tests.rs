//! Hostile and clumsy peers, over real sockets. Limits are short, and what is waited for is what they bring about.

mod bodies;
mod heads;
mod peers;
mod room;
mod support;
