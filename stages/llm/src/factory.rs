//! How the kind of service becomes known.

use std::sync::Arc;

use docmill_api::{Chat, FieldSpec, Issue, ServiceFactory, Services, StageError, async_trait};
use serde_json::Value;

use crate::client::{Llm, Named};
use crate::settings::{self, Settings};

/// Services with the interface of OpenAI's.
#[derive(Debug)]
pub struct OpenAi;

#[async_trait]
impl ServiceFactory for OpenAi {
    fn kind(&self) -> &'static str {
        settings::KIND
    }

    fn summary(&self) -> &'static str {
        "A model service with OpenAI's interface: OpenAI, Azure, vLLM, llama.cpp, Ollama and their like."
    }

    fn fields(&self) -> Vec<FieldSpec> {
        settings::fields()
    }

    fn validate(&self, table: &Value) -> Vec<Issue> {
        // The model may be named by each who uses the table.
        let complaints = Settings::read(table).map(|settings| settings.complaints()).unwrap_or_default();
        complaints.into_iter().filter(|issue| issue.path != ["model"]).collect()
    }

    async fn chat(&self, name: &str, table: Value, services: &Services) -> Result<Arc<dyn Chat>, StageError> {
        let place = if name == "ask" { "[ask]".to_owned() } else { format!("[providers.{name}]") };
        let named = Named { name: name.to_owned(), table: place };
        Ok(Arc::new(Llm::open(named, Settings::read(&table)?, services)?))
    }
}
