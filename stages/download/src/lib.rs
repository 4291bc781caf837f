//! The download stage of docmill: file and http(s) locations to bytes.
