//! The chunk stage of docmill: text to chunks by tokens or characters at semantic boundaries.
