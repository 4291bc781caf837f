//! docmill.
