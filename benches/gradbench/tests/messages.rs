//! The protocol itself: whole sessions through the program, and messages that cannot be answered.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

#[test]
fn a_session_through_the_program() {
    let lines = [
        r#"{"id": 0, "kind": "start", "eval": "hello"}"#,
        "",
        r#"{"id": 1, "kind": "define", "module": "hello"}"#,
        r#"{"id": 2, "kind": "evaluate", "module": "hello", "function": "square", "input": 1.5}"#,
        r#"{"id": 3, "kind": "analysis", "of": 2, "valid": true}"#,
        "{ this is not JSON",
        r#"{"id": "four", "kind": "evaluate", "module": "hello", "function": "double", "input": 4}"#,
    ];
    let mut tool = Command::new(env!("CARGO_BIN_EXE_retrograde-gradbench"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = tool.stdin.take().expect("piped");
    stdin
        .write_all(lines.join("\n").as_bytes())
        .expect("it reads");
    drop(stdin);
    let out = tool.wait_with_output().expect("it ends");
    assert!(out.status.success());
    let out = String::from_utf8(out.stdout).expect("text");
    let responses: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let ids: Vec<&Value> = responses.iter().map(|r| &r["id"]).collect();
    assert_eq!(
        ids,
        [
            &json!(0),
            &json!(1),
            &json!(2),
            &json!(3),
            &Value::Null,
            &json!("four")
        ]
    );
    assert_eq!(responses[0]["tool"], "retrograde");
    assert_eq!(responses[1]["success"], true);
    assert_eq!(responses[2]["output"], 2.25);
    assert_eq!(responses[3], json!({ "id": 3 }));
    assert_eq!(responses[4]["success"], false);
    assert_eq!(responses[5]["output"], 8.0);
}

/// What the error of an evaluation says.
fn error(module: &str, function: &str, input: &Value) -> String {
    let message = json!({ "id": 5, "kind": "evaluate", "module": module, "function": function, "input": input });
    let line = retrograde_gradbench::answer(message.to_string().as_bytes());
    let response: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(response["id"], 5);
    assert_eq!(response["success"], false, "{response}");
    response["error"]
        .as_str()
        .expect("an error is text")
        .to_string()
}

#[test]
fn what_cannot_be_answered_is_a_response_that_says_so() {
    let says = |module, function, input: Value, expected: &str| {
        let error = error(module, function, &input);
        assert!(error.contains(expected), "{module} {function}: {error}");
    };
    says(
        "nonsense",
        "objective",
        json!({}),
        "no module `nonsense`: there are ba, det",
    );
    says(
        "gmm",
        "nonsense",
        json!({}),
        "no function `nonsense` in `gmm`: there are objective",
    );
    says("hello", "square", json!("x"), "input:");
    says("lse", "gradient", json!({}), "missing field `x`");
    says("lse", "primal", json!({ "x": [] }), "no element to choose");
    says("llsq", "primal", json!({ "x": [1.0], "n": -1 }), "input:");
    says("llsq", "primal", json!({ "x": [1.0], "n": 1u64 << 62 }), "");
    let ragged = json!({ "points": [[1.0, 2.0], [3.0]], "centroids": [[1.0, 2.0]] });
    says(
        "kmeans",
        "dir",
        ragged,
        "`points` must be 2 rows of 2 numbers",
    );
    says(
        "kmeans",
        "cost",
        json!({ "points": [[1.0]], "centroids": [] }),
        "",
    );
    let state = json!({ "main_params": [], "extra_params": [], "state": [], "sequence": [] });
    says("lstm", "objective", state, "two rows a layer");
    let bundle = |n: i64, p: u64, camera: usize| json!({ "n": n, "m": 1, "p": p, "cam": vec![1.0; camera], "x": [1.0, 1.0, 1.0], "w": 1.0, "feat": [0.0, 0.0] });
    says("ba", "jacobian", bundle(0, 1, 11), "must be positive");
    says("ba", "jacobian", bundle(1, 1, 10), "11, 3 and 2 numbers");
    says("ba", "jacobian", bundle(1, 1 << 31, 11), "too many");
    says("ode", "primal", json!({ "x": [], "s": 1 }), "an element");
    says(
        "ode",
        "gradient",
        json!({ "x": [1.0], "s": 0 }),
        "a step or more",
    );
    says(
        "det",
        "primal",
        json!({ "A": [1.0], "ell": 2 }),
        "`ell * ell` numbers",
    );
    says(
        "det",
        "primal",
        json!({ "A": [1.0], "ell": 1u64 << 40 }),
        "1 to 16",
    );
    says("particle", "rr", json!({}), "missing field `w`");
    says("saddle", "ff", json!({ "start": [1.0] }), "input:");
}

#[test]
fn other_messages_are_acknowledged_or_refused() {
    let answer = |line: &str| -> Value {
        serde_json::from_str(&retrograde_gradbench::answer(line.as_bytes())).expect("JSON")
    };
    assert_eq!(
        answer(r#"{"id": 1, "kind": "something new", "x": 3}"#),
        json!({ "id": 1 })
    );
    assert_eq!(answer(r#"{"id": 1}"#), json!({ "id": 1 }));
    let unknown = answer(r#"{"id": 1, "kind": "define", "module": "nonsense"}"#);
    assert_eq!(
        (&unknown["id"], &unknown["success"]),
        (&json!(1), &json!(false))
    );
    // Of a message in another form at least the id is known.
    let strange = answer(r#"{"id": 7, "kind": ["evaluate"]}"#);
    assert_eq!(
        (&strange["id"], &strange["success"]),
        (&json!(7), &json!(false))
    );
    for line in ["", "[]", "null", "\u{0}", "{\"id\": 3", "3"] {
        assert_eq!(answer(line)["success"], false, "{line}");
    }
}
