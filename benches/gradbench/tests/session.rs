//! Whole sessions of the protocol: every function of every eval against plain loops and central differences.

mod plain;

use plain::{Numbers, Skeleton};
use serde_json::{Value, json};

/// The response to a message.
fn ask(message: &Value) -> Value {
    let line = retrograde_gradbench::answer(message.to_string().as_bytes());
    serde_json::from_str(&line).expect("a response is JSON")
}

/// A session that evaluates one function, three times at least; its output.
fn evaluate(module: &str, function: &str, mut input: Value) -> Value {
    if let Some(object) = input.as_object_mut() {
        object.insert("min_runs".into(), 3.into());
        object.insert("min_seconds".into(), 1e-9.into());
    }
    let runs = if input.is_object() { 3 } else { 1 };
    ask(&json!({ "id": 0, "kind": "start", "eval": module }));
    let defined = ask(&json!({ "id": 1, "kind": "define", "module": module }));
    assert_eq!(defined, json!({ "id": 1, "success": true }));
    let message = json!({ "id": 2, "kind": "evaluate", "module": module, "function": function, "input": input });
    let response = ask(&message);
    assert_eq!(response["id"], 2);
    assert_eq!(response["success"], true, "{module} {function}: {response}");
    let timings = response["timings"].as_array().expect("timings");
    assert_eq!(timings.len(), runs);
    for timing in timings {
        assert_eq!(timing["name"], "evaluate");
        assert!(timing["nanoseconds"].is_u64());
    }
    response["output"].clone()
}

/// All numbers of a value, depth first.
fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(values) => values.iter().flat_map(flat).collect(),
        number => vec![number.as_f64().expect("a number")],
    }
}

#[track_caller]
fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        let bound = tolerance * e.abs().max(1.0);
        assert!(
            (f - e).abs() <= bound,
            "element {i}: found {f}, expected {e}"
        );
    }
}

const VALUE: f64 = 1e-12;
const DERIVATIVE: f64 = 1e-6;

#[test]
fn hello() {
    assert_eq!(evaluate("hello", "square", json!(3.0)), json!(9.0));
    assert_eq!(evaluate("hello", "double", json!(3.0)), json!(6.0));
    // Whole numbers are numbers too.
    assert_eq!(evaluate("hello", "double", json!(-4)), json!(-8.0));
}

#[test]
fn gmm() {
    for (d, k, n, m) in [(3, 4, 7, 0), (1, 2, 5, 2), (6, 1, 3, 1), (2, 3, 0, 0)] {
        let mut numbers = Numbers::new(7);
        let x = numbers.rows(n, d, -1.0, 1.0);
        let alpha = numbers.list(k, -1.0, 1.0);
        let mu = numbers.rows(k, d, 0.0, 1.0);
        let q = numbers.rows(k, d, -1.0, 1.0);
        let l = numbers.rows(k, d * (d - 1) / 2, -1.0, 1.0);
        let gamma = 0.7;
        let input = json!({
            "d": d, "k": k, "n": n, "x": x, "m": m, "gamma": gamma,
            "alpha": alpha, "mu": mu, "q": q, "l": l,
        });
        let at = [alpha, mu.concat(), q.concat(), l.concat()].concat();
        let log = |at: &[f64]| plain::mixture(d, k, &x, m, gamma, at);
        let value = evaluate("gmm", "objective", input.clone());
        assert_close(&flat(&value), &[log(&at)], VALUE);
        let found = evaluate("gmm", "jacobian", input);
        assert_eq!(found["l"].as_array().map(Vec::len), Some(k));
        let parts = ["alpha", "mu", "q", "l"].map(|name| flat(&found[name]));
        assert_close(&parts.concat(), &plain::gradient(log, &at), DERIVATIVE);
    }
}

#[test]
fn lse() {
    let x = Numbers::new(1).list(1000, -100.0, 100.0);
    let input = json!({ "x": x });
    let value = evaluate("lse", "primal", input.clone());
    assert_close(&flat(&value), &[plain::logsumexp(&x)], VALUE);
    let found = flat(&evaluate("lse", "gradient", input));
    assert_close(&found, &plain::gradient(plain::logsumexp, &x), DERIVATIVE);
    assert!((found.iter().sum::<f64>() - 1.0).abs() < VALUE);
}

#[test]
fn llsq() {
    for (m, n) in [(5, 33), (1, 2), (40, 100)] {
        let x = Numbers::new(2).list(m, 0.0, 1.0);
        let squares = |x: &[f64]| plain::least_squares(n, x);
        let input = json!({ "x": x, "n": n });
        let value = evaluate("llsq", "primal", input.clone());
        assert_close(&flat(&value), &[squares(&x)], VALUE);
        let found = evaluate("llsq", "gradient", input);
        assert_close(&flat(&found), &plain::gradient(squares, &x), DERIVATIVE);
    }
}

#[test]
fn kmeans() {
    for (n, k, d) in [(50, 6, 3), (90, 40, 5), (3, 1, 1)] {
        let points = Numbers::new(3).rows(n, d, 0.0, 1.0);
        // Some of the points, so that every cluster has one.
        let centroids = points[n - k..].to_vec();
        let input = json!({ "points": points, "centroids": centroids });
        let nearest: Vec<_> = points
            .iter()
            .map(|p| plain::nearest(p, &centroids))
            .collect();
        let cost: f64 = nearest.iter().map(|(_, square)| square).sum();
        assert_close(
            &flat(&evaluate("kmeans", "cost", input.clone())),
            &[cost],
            VALUE,
        );
        // Newton's step takes a centroid to the mean of its cluster.
        let direction = centroids.iter().enumerate().flat_map(|(j, centroid)| {
            let cluster = points
                .iter()
                .zip(&nearest)
                .filter(|(_, nearest)| nearest.0 == j);
            let cluster: Vec<&Vec<f64>> = cluster.map(|(p, _)| p).collect();
            let mean = |i: usize| cluster.iter().map(|p| p[i]).sum::<f64>() / cluster.len() as f64;
            centroid
                .iter()
                .enumerate()
                .map(|(i, c)| c - mean(i))
                .collect::<Vec<_>>()
        });
        let found = evaluate("kmeans", "dir", input);
        assert_eq!(found.as_array().map(Vec::len), Some(k));
        assert_close(&flat(&found), &direction.collect::<Vec<_>>(), VALUE);
    }
}

#[test]
fn lstm() {
    for (layers, bits, characters) in [(1, 3, 2), (2, 7, 12), (3, 9, 30)] {
        let mut numbers = Numbers::new(4);
        let main = numbers.rows(2 * layers, 4 * bits, 0.0, 1.0);
        let extra = numbers.rows(3, bits, 0.0, 1.0);
        let state = numbers.rows(2 * layers, bits, 0.0, 1.0);
        let text = numbers.rows(characters, bits, 0.0, 2.0);
        let text: Vec<Vec<f64>> = text
            .iter()
            .map(|c| c.iter().map(|b| b.floor()).collect())
            .collect();
        let input =
            json!({ "main_params": main, "extra_params": extra, "state": state, "sequence": text });
        let at = [main.concat(), extra.concat()].concat();
        let loss = |at: &[f64]| plain::lstm(layers, bits, &state, &text, at);
        let value = evaluate("lstm", "objective", input.clone());
        assert_close(&flat(&value), &[loss(&at)], VALUE);
        let found = evaluate("lstm", "jacobian", input);
        assert_close(&flat(&found), &plain::gradient(loss, &at), DERIVATIVE);
    }
}

#[test]
fn ba() {
    let camera = [
        -0.75, -1.1, -0.84, 34.5, 39.6, 53.9, 419.2, 5.9, -8.5, 0.088, 0.0027,
    ];
    let (mut still, point, weight, feature) = (camera, [7.2, 0.0011, 3.02], 0.417, [271.8, 834.2]);
    still[..3].fill(0.0);
    for camera in [camera, still] {
        let (n, m, p) = (2, 3, 7);
        let input = json!({ "n": n, "m": m, "p": p, "cam": camera, "x": point, "w": weight, "feat": feature });
        let at = [camera.as_slice(), &point, &[weight]].concat();
        let errors = |at: &[f64]| plain::bundle_errors(at, &feature);
        let value = evaluate("ba", "objective", input.clone());
        assert_close(
            &flat(&value["reproj_error"]["elements"]),
            &errors(&at),
            VALUE,
        );
        assert_eq!(value["reproj_error"]["repeated"], p);
        assert_close(
            &flat(&value["w_err"]["element"]),
            &[1.0 - weight * weight],
            VALUE,
        );
        assert_eq!(value["w_err"]["repeated"], p);

        let found = evaluate("ba", "jacobian", input);
        let mut expected = plain::jacobian(errors, &at).concat();
        expected.push(-2.0 * weight);
        assert_close(&flat(&found["vals"]), &expected, 1e-5);
        // The first observation is of camera 0, point 0 and weight 0.
        let (points, weights) = (11 * n, 11 * n + 3 * m);
        let row: Vec<usize> = (0..11).chain(points..points + 3).chain([weights]).collect();
        let columns = [row.as_slice(), &row, &[weights + p - 1]].concat();
        assert_eq!(found["cols"], json!(columns));
        let ends: Vec<usize> = (0..=2 * p)
            .map(|r| 15 * r)
            .chain((1..=p).map(|r| 30 * p + r))
            .collect();
        let sample: Vec<usize> = ends.iter().take(30).chain(ends.last()).copied().collect();
        assert_eq!(found["rows"], json!(sample));
    }
}

#[test]
fn ode() {
    for (n, steps) in [(1, 1), (5, 3), (40, 10), (12, 20)] {
        let x = Numbers::new(5).list(n, 0.5, 1.5);
        let input = json!({ "x": x, "s": steps });
        let value = evaluate("ode", "primal", input.clone());
        assert_close(&flat(&value), &plain::runge_kutta(&x, steps), VALUE);
        let last = |x: &[f64]| plain::runge_kutta(x, steps)[n - 1];
        let found = evaluate("ode", "gradient", input);
        assert_close(&flat(&found), &plain::gradient(last, &x), DERIVATIVE);
    }
}

#[test]
fn det() {
    for ell in 1..=6 {
        let a = Numbers::new(6).list(ell * ell, 0.0, 1.0);
        let determinant = |a: &[f64]| plain::determinant(a, ell);
        let input = json!({ "A": a, "ell": ell });
        let value = evaluate("det", "primal", input.clone());
        assert_close(&flat(&value), &[determinant(&a)], VALUE);
        let found = evaluate("det", "gradient", input);
        assert_close(&flat(&found), &plain::gradient(determinant, &a), DERIVATIVE);
    }
}

fn skeleton(numbers: &mut Numbers, mirrored: bool) -> Skeleton {
    let bones = 22;
    let mut matrix = || {
        let mut matrix = [[0.0; 4]; 4];
        for row in &mut matrix[..3] {
            row.iter_mut().for_each(|x| *x = numbers.next(-1.0, 1.0));
        }
        matrix[3][3] = 1.0;
        matrix
    };
    let relatives = (0..bones).map(|_| matrix()).collect();
    let inverses = (0..bones).map(|_| matrix()).collect();
    // Fingers hang on bone 0, bone 1 is a root of its own.
    let parent = |b: i64| match b {
        0 | 1 => -1,
        b if (b - 2) % 4 == 0 => 0,
        b => b - 1,
    };
    let vertices = (0..8).map(|_| {
        [
            numbers.next(0.0, 1.0),
            numbers.next(0.0, 1.0),
            numbers.next(0.0, 1.0),
            1.0,
        ]
    });
    Skeleton {
        parents: (0..bones).map(parent).collect(),
        relatives,
        inverses,
        vertices: vertices.collect(),
        weights: numbers.rows(8, bones as usize, 0.0, 0.2),
        triangles: vec![[0, 3, 5], [7, 2, 1], [4, 6, 0]],
        correspondences: vec![2, 0, 1, 1],
        points: (0..4)
            .map(|_| {
                [
                    numbers.next(0.0, 1.0),
                    numbers.next(0.0, 1.0),
                    numbers.next(0.0, 1.0),
                ]
            })
            .collect(),
        mirrored,
    }
}

#[test]
fn ht() {
    for (mirrored, complicated, turn) in
        [(false, false, 1.0), (true, true, 1.0), (false, true, 0.0)]
    {
        let mut numbers = Numbers::new(8);
        let hand = skeleton(&mut numbers, mirrored);
        let mut theta = numbers.list(26, -1.0, 1.0);
        theta[..3].iter_mut().for_each(|x| *x *= turn);
        let n = hand.points.len();
        let us = if complicated {
            numbers.rows(n, 2, 0.0, 0.5)
        } else {
            Vec::new()
        };
        let input = json!({
            "theta": theta, "us": us,
            "data": {
                "model": {
                    "bone_count": 22, "bone_names": [], "parents": hand.parents,
                    "base_relatives": hand.relatives, "inverse_base_absolutes": hand.inverses,
                    "base_positions": hand.vertices, "weights": hand.weights,
                    "triangles": hand.triangles, "is_mirrored": hand.mirrored,
                },
                "correspondences": hand.correspondences, "points": hand.points,
            },
        });
        let positions = us.concat();
        let value = evaluate("ht", "objective", input.clone());
        assert_close(
            &flat(&value),
            &plain::hand_errors(&hand, &theta, &positions),
            VALUE,
        );

        let by_pose = plain::jacobian(|theta| plain::hand_errors(&hand, theta, &positions), &theta);
        let by_position = plain::jacobian(|us| plain::hand_errors(&hand, &theta, us), &positions);
        let expected =
            by_pose
                .iter()
                .zip(&by_position)
                .enumerate()
                .flat_map(|(i, (pose, position))| {
                    let own = if complicated {
                        &position[2 * (i / 3)..][..2]
                    } else {
                        &[]
                    };
                    [own, pose].concat()
                });
        let found = evaluate("ht", "jacobian", input);
        assert_eq!(found.as_array().map(Vec::len), Some(3 * n));
        assert_close(&flat(&found), &expected.collect::<Vec<_>>(), DERIVATIVE);
    }
}

#[test]
fn particle() {
    let modes = ["ff", "fr", "rf", "rr"];
    // Not far from where it ends: every number of steps is a path that is recorded.
    let found = modes.map(|mode| flat(&evaluate("particle", mode, json!({ "w": 0.19 })))[0]);
    // Where the search ends it is flat, and the particle comes close to the origin.
    for w in found {
        assert_close(&[w], &found[..1], 1e-9);
        assert!(plain::miss(w) < 1e-6 * plain::miss(0.0));
        assert!(plain::gradient(|w| plain::miss(w[0]), &[w])[0].abs() < 1e-2);
    }
}

#[test]
fn saddle() {
    for mode in ["ff", "fr", "rf", "rr"] {
        let found = flat(&evaluate("saddle", mode, json!({ "start": [1.0, 1.0] })));
        assert_eq!(found.len(), 4);
        // The saddle is at 0; the search ends where a gradient, or a step, is small.
        assert!(found.iter().all(|x| x.abs() < 1e-4), "{found:?}");
    }
}
