//! Model services.
