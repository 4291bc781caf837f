//! Conformance suite, record builders, null stages and fault-injecting fakes for docmill stages.
