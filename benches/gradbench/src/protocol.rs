//! Messages and responses of GradBench's protocol.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::EVALS;
use crate::measure::{Evaluated, Function};

/// What a message may hold. Everything but `kind` is read leniently: a message of an unknown kind is acknowledged.
#[derive(Deserialize)]
struct Message {
    #[serde(default)]
    id: Value,
    #[serde(default)]
    kind: String,
    #[serde(default)]
    module: String,
    #[serde(default)]
    function: String,
    #[serde(default)]
    input: Value,
}

/// The response to a message, both as a line of JSON.
///
/// Whatever cannot be answered is a response with `"success": false` and an `"error"`: a line that is not JSON (whose
/// `id` is then null), a module or function that does not exist, an input of another form, an error of the library.
///
/// ```
/// use retrograde_gradbench::answer;
/// assert_eq!(answer(br#"{"id": 0, "kind": "start", "eval": "hello"}"#), r#"{"id":0,"tool":"retrograde"}"#);
/// assert_eq!(answer(br#"{"id": 1, "kind": "define", "module": "hello"}"#), r#"{"id":1,"success":true}"#);
/// let response = answer(br#"{"id": 2, "kind": "evaluate", "module": "hello", "function": "double", "input": 3.0}"#);
/// assert!(response.contains(r#""output":6.0"#));
/// ```
pub fn answer(line: &[u8]) -> String {
    let response = match serde_json::from_slice::<Value>(line) {
        Ok(value) if value.is_object() => {
            let id = value.get("id").cloned().unwrap_or_default();
            match serde_json::from_value::<Message>(value) {
                Ok(message) => respond(&message),
                Err(e) => failure(&id, &format!("not a message of the protocol: {e}")),
            }
        }
        Ok(_) => failure(&Value::Null, "a message is an object"),
        Err(e) => failure(&Value::Null, &format!("not JSON: {e}")),
    };
    response.to_string()
}

fn respond(message: &Message) -> Value {
    let id = &message.id;
    match message.kind.as_str() {
        "start" => json!({ "id": id, "tool": "retrograde" }),
        "define" => match module(&message.module) {
            Ok(_) => json!({ "id": id, "success": true }),
            Err(e) => failure(id, &e),
        },
        "evaluate" => {
            let function = module(&message.module)
                .and_then(|functions| function(&message.module, functions, &message.function));
            let evaluated = function.and_then(|f| f(&message.input).map_err(|e| e.to_string()));
            match evaluated {
                Ok(evaluated) => success(id, evaluated),
                Err(e) => failure(id, &e),
            }
        }
        _ => json!({ "id": id }),
    }
}

fn success(id: &Value, evaluated: Evaluated) -> Value {
    let timing = |ns: &u64| json!({ "name": "evaluate", "nanoseconds": ns });
    let timings: Vec<Value> = evaluated.nanoseconds.iter().map(timing).collect();
    // Not `json!`, which would copy the output.
    let mut response = Map::new();
    response.insert("id".into(), id.clone());
    response.insert("success".into(), true.into());
    response.insert("output".into(), evaluated.output);
    response.insert("timings".into(), timings.into());
    response.into()
}

fn failure(id: &Value, error: &str) -> Value {
    json!({ "id": id, "success": false, "error": error })
}

fn module(name: &str) -> Result<&'static [(&'static str, Function)], String> {
    let found = EVALS.iter().find(|(module, _)| *module == name);
    let names = || list(EVALS.iter().map(|(module, _)| *module));
    found
        .map(|(_, functions)| *functions)
        .ok_or_else(|| format!("no module `{name}`: there are {}", names()))
}

fn function(
    module: &str,
    functions: &[(&'static str, Function)],
    name: &str,
) -> Result<Function, String> {
    let found = functions.iter().find(|(function, _)| *function == name);
    let names = || list(functions.iter().map(|(function, _)| *function));
    found
        .map(|(_, f)| *f)
        .ok_or_else(|| format!("no function `{name}` in `{module}`: there are {}", names()))
}

fn list<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}
