//! The summarize stage of docmill: the sentences that say most.
