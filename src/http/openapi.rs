//! The description of the interface, made of the types that it speaks of and of the table below.

use std::sync::OnceLock;

use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::api::{
    ContextAnswer, ContextRequest, DocumentList, DocumentView, DocumentsQuery, Hits, Memory, QueueState, RetryRequest,
    RunState, SearchQuery, Status, Submission, WaitQuery, WidthRequest, WidthSet,
};
use super::problem::{Details, PROBLEM_JSON};

/// Answers with the description.
pub(super) async fn get() -> impl IntoResponse {
    static TEXT: OnceLock<String> = OnceLock::new();
    ([(CONTENT_TYPE, "application/json")], TEXT.get_or_init(|| describe().to_string()).as_str())
}

/// What an operation answers where all is well.
#[derive(Clone)]
enum Answer {
    Nothing,
    Json(Value),
    Text(&'static str),
}

/// One operation.
struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: Vec<Value>,
    body: Option<Value>,
    well: Vec<(u16, &'static str, Answer)>,
    /// What it answers besides what all do.
    wrong: &'static [u16],
    open: bool,
}

impl Operation {
    fn new(method: &'static str, path: &'static str, summary: &'static str) -> Self {
        Self { method, path, summary, query: Vec::new(), body: None, well: Vec::new(), wrong: &[], open: false }
    }

    fn well(mut self, status: u16, says: &'static str, answer: Answer) -> Self {
        self.well.push((status, says, answer));
        self
    }

    fn wrong(mut self, wrong: &'static [u16]) -> Self {
        self.wrong = wrong;
        self
    }

    fn open(mut self) -> Self {
        self.open = true;
        self
    }

    fn json(mut self, schema: &Value) -> Self {
        self.body = Some(json!({ "required": true, "content": { "application/json": { "schema": schema } } }));
        self
    }

    fn query(mut self, schema: &Value) -> Self {
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        let Some(properties) = schema["properties"].as_object() else { return self };
        self.query = properties
            .iter()
            .map(|(name, schema)| {
                let mut schema = schema.clone();
                let about = schema["description"].take();
                if let Some(schema) = schema.as_object_mut() {
                    schema.remove("description");
                    schema.remove("default");
                }
                without_null(&mut schema);
                let required = required.iter().any(|other| other == name);
                json!({ "name": name, "in": "query", "required": required, "description": about, "schema": schema })
            })
            .collect();
        self
    }

    fn describe(self) -> Value {
        let mut parameters = self.query;
        if self.path.contains("{id}") {
            let about = if self.path.starts_with("/v1/stages") { "A stage's id." } else { "A document's id." };
            let schema = json!({ "type": "string" });
            parameters
                .push(json!({ "name": "id", "in": "path", "required": true, "description": about, "schema": schema }));
        }
        let mut responses = Map::new();
        for (status, says, answer) in self.well {
            let content = match answer {
                Answer::Nothing => None,
                Answer::Json(schema) => Some(json!({ "application/json": { "schema": schema } })),
                Answer::Text(media) => Some(json!({ media: { "schema": { "type": "string" } } })),
            };
            let mut response = json!({ "description": says });
            if let Some(content) = content {
                response["content"] = content;
            }
            responses.insert(status.to_string(), response);
        }
        let common: &[u16] = if self.open { &[400, 403, 405, 503] } else { &[400, 401, 403, 405, 429, 503] };
        for status in common.iter().chain(self.wrong) {
            responses.entry(status.to_string()).or_insert_with(|| problem(*status));
        }
        let mut operation = json!({ "summary": self.summary, "parameters": parameters, "responses": responses });
        if let Some(body) = self.body {
            operation["requestBody"] = body;
        }
        if self.open {
            operation["security"] = json!([]);
        }
        operation
    }
}

fn problem(status: u16) -> Value {
    let says = match status {
        400 => "The request cannot be understood.",
        401 => "A key is wanted, and none that is known was sent.",
        403 => "The key may not do this, or the request comes from another site.",
        404 => "There is none, or none that the key sees.",
        405 => "The address takes no request of this method.",
        409 => "Not now: it is being answered, has not come to its end, or its bytes are gone.",
        413 => "The body is larger than it may be.",
        415 => "The body is of a type that is not taken.",
        422 => "It is understood, and asks for what cannot be.",
        429 => "The key has asked as often as it may.",
        _ => "Not now; `Retry-After` says when.",
    };
    let schema = json!({ "$ref": "#/components/schemas/Problem" });
    let mut response = json!({ "description": says, "content": { PROBLEM_JSON: { "schema": schema } } });
    if matches!(status, 429 | 503) {
        let schema = json!({ "type": "integer", "minimum": 1 });
        response["headers"] = json!({ "Retry-After": { "description": "Seconds.", "schema": schema } });
    }
    response
}

/// A value that may be left out is no null in a query.
fn without_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|one| one != "null");
        if let [only] = types.as_slice() {
            schema["type"] = only.clone();
        }
    }
    if let Some(any) = schema.get_mut("anyOf").and_then(Value::as_array_mut) {
        any.retain(|one| one["type"] != "null");
        if let [only] = any.as_slice() {
            *schema = only.clone();
        }
    }
}

/// The whole description.
pub(super) fn describe() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    // Named by the answers above.
    of::<Details>(&mut schemas);
    for operation in documents(&mut schemas).into_iter().chain(others(&mut schemas)) {
        let (path, method) = (operation.path, operation.method);
        let at = paths.entry(path).or_insert_with(|| json!({}));
        at[method] = operation.describe();
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "docmill",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Hands documents to a pipeline, tells what became of them, and answers from its store.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "security": [{ "key": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "securitySchemes": { "key": { "type": "http", "scheme": "bearer" } },
        },
    })
}

/// A reference to a type's schema.
fn of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    schemas.subschema_for::<T>().to_value()
}

/// A type's schema itself.
fn whole<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    T::json_schema(schemas).to_value()
}

fn documents(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let document = || Answer::Json(json!({ "$ref": "#/components/schemas/Document" }));
    of::<DocumentView>(schemas);
    let list = Answer::Json(of::<DocumentList>(schemas));
    let mut submit = Operation::new("post", "/v1/documents", "Hands a document in: by its URL, or with its bytes.")
        .json(&of::<Submission>(schemas))
        .well(202, "It is accepted, and survives the end of the process.", document())
        .well(200, "It was accepted before under this `Idempotency-Key`.", document())
        .wrong(&[409, 413, 415, 422]);
    if let Some(body) = &mut submit.body {
        let text = || json!({ "type": "string", "maxLength": 1024 });
        body["content"]["multipart/form-data"] = json!({ "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {
                "file": { "type": "string", "format": "binary" },
                "filename": text(), "filetype": text(), "session_id": text(), "user_id": text(),
                "metadata": { "type": "string", "description": "A JSON object." },
            },
        } });
    }
    submit.query = vec![
        json!({ "name": "session_id", "in": "query", "required": false, "schema": { "type": "string" },
                "description": "Gives this session a share of its own in the queue." }),
        json!({ "name": "Idempotency-Key", "in": "header", "required": false,
                "schema": { "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" },
                "description": "Makes the request one with its repetition, for a day." }),
    ];
    vec![
        submit,
        Operation::new("get", "/v1/documents", "Lists documents.")
            .query(&whole::<DocumentsQuery>(schemas))
            .well(200, "In the order of their ids.", list)
            .wrong(&[422]),
        Operation::new("get", "/v1/documents/{id}", "Shows a document, or waits for its end.")
            .query(&whole::<WaitQuery>(schemas))
            .well(200, "As it stands.", document())
            .wrong(&[404, 422]),
        Operation::new("delete", "/v1/documents/{id}", "Takes a document back, with all that is stored of it.")
            .well(204, "Nothing is stored of it, and nothing remembered.", Answer::Nothing)
            .well(202, "It is on its way out.", document())
            .wrong(&[404]),
        Operation::new("post", "/v1/documents/{id}/retry", "Tries a document again, whatever it ended with.")
            .well(202, "It is on its way.", document())
            .wrong(&[404, 409]),
        Operation::new("get", "/v1/documents/{id}/events", "Tells whenever a document changes, until its end.")
            .well(200, "Events `document` (as above) and `deleted`.", Answer::Text("text/event-stream"))
            .wrong(&[404]),
        Operation::new("get", "/v1/events", "Tells of every document that is accepted or comes to its end.").well(
            200,
            "Events `document`, `deleted` and `missed`.",
            Answer::Text("text/event-stream"),
        ),
    ]
}

fn others(schemas: &mut SchemaGenerator) -> Vec<Operation> {
    let any = || Answer::Json(json!({ "type": "object" }));
    let state = of::<RunState>(schemas);
    let told = |path, summary| {
        Operation::new("post", path, summary).well(202, "It is told.", Answer::Json(state.clone())).wrong(&[409])
    };
    let (status, queue, memory) = (of::<Status>(schemas), of::<QueueState>(schemas), of::<Memory>(schemas));
    vec![
        Operation::new("get", "/v1/search", "Searches the store.")
            .query(&whole::<SearchQuery>(schemas))
            .well(200, "The best rows.", Answer::Json(of::<Hits>(schemas)))
            .wrong(&[422]),
        Operation::new("post", "/v1/context", "Packs what the store holds about a question, for a model.")
            .json(&of::<ContextRequest>(schemas))
            .well(200, "The text, and where it is from.", Answer::Json(of::<ContextAnswer>(schemas)))
            .wrong(&[413, 415, 422]),
        Operation::new("get", "/v1/snapshot", "Shows the run: stages, queues, memory, machine.").well(
            200,
            "The run at this moment.",
            any(),
        ),
        Operation::new("patch", "/v1/stages/{id}", "Changes a stage's width.")
            .json(&of::<WidthRequest>(schemas))
            .well(200, "The width from now on.", Answer::Json(of::<WidthSet>(schemas)))
            .wrong(&[404, 409, 413, 415, 422]),
        told("/v1/run/pause", "Gives the pipeline no further documents; those that wait stay."),
        told("/v1/run/resume", "Gives the pipeline documents again."),
        told("/v1/run/drain", "Takes no documents in any more, and finishes what is in hand."),
        told("/v1/run/retry", "Tries all documents again that failed, or those of a stage.")
            .json(&of::<RetryRequest>(schemas))
            .wrong(&[409, 413, 415, 422]),
        Operation::new("post", "/v1/commands", "Tells the run something, as one docmill to another.")
            .json(
                &json!({ "type": "object", "required": ["command"], "properties": { "command": { "type": "string" } } }),
            )
            .well(202, "It is told.", Answer::Nothing)
            .wrong(&[409, 413, 415, 422]),
        Operation::new("get", "/health/live", "Whether the process answers.")
            .well(200, "It does.", Answer::Json(status.clone()))
            .open(),
        Operation::new("get", "/health/ready", "Whether documents are taken in; 503 where they are not.")
            .well(200, "They are.", Answer::Json(status.clone()))
            .well(503, "They are not.", Answer::Json(status))
            .open(),
        Operation::new("get", "/health/queue", "The queue in front of the pipeline.")
            .well(200, "As it is now.", Answer::Json(queue))
            .open(),
        Operation::new("get", "/health/memory", "Memory, against its budget.")
            .well(200, "As it is now.", Answer::Json(memory))
            .open(),
        Operation::new("get", "/metrics", "For Prometheus.").well(200, "All series.", Answer::Text("text/plain")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reference_leads_somewhere_and_every_operation_has_its_answers() {
        let described = describe();
        let text = described.to_string();
        for reference in text.split("\"#/components/schemas/").skip(1) {
            let name = reference.split('"').next().expect("a name");
            assert!(described["components"]["schemas"].get(name).is_some(), "{name}");
        }
        let paths = described["paths"].as_object().expect("paths");
        assert_eq!(paths.len(), 19);
        for (path, operations) in paths {
            for (method, operation) in operations.as_object().expect("operations") {
                let responses = operation["responses"].as_object().expect("responses");
                assert!(responses.keys().any(|status| status.starts_with('2')), "{method} {path}");
                assert!(responses.contains_key("503") && responses.contains_key("405"), "{method} {path}");
            }
        }
        let body = &described["paths"]["/v1/documents"]["post"]["requestBody"]["content"];
        assert!(body.get("application/json").is_some() && body.get("multipart/form-data").is_some());
    }
}
