//! The files source of docmill.
