//! The parse stage of docmill: documents of many formats to Markdown-flavoured text.
