//! The sinks of docmill: LanceDB tables and JSON lines.
