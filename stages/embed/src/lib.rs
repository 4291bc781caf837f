//! The embed stage of docmill: chunks to vectors by a static model that ships with it.
