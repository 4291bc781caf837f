//! The stages that ship with docmill: one line each. Nothing else names a concrete stage.

use docmill_api::Registry;

/// Makes every built-in stage known.
pub fn register(registry: &mut Registry) {
    docmill_source::register(registry);
    docmill_download::register(registry);
    docmill_parse::register(registry);
    docmill_chunk::register(registry);
    docmill_summarize::register(registry);
    docmill_embed::register(registry);
    docmill_store::register(registry);
    docmill_exec::register(registry);
    docmill_vision::register(registry);
    docmill_llm::register(registry);
}
