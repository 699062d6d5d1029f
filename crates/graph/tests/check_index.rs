//! Labels are checked in a step of their own, which reads them where they stand and writes nothing.

use retrograde_graph::{ErrorKind, Options, Program};
use retrograde_storage::{Array, Create};

const CLASSES: usize = 4;

fn loss(labels: &Array<u32>) -> Program {
    let x = Array::<f32>::zeros([labels.len(), CLASSES]);
    Program::record(&(x, labels.clone()), |_, (x, labels)| {
        x.log_softmax(1).nll(labels)
    })
    .unwrap()
}

fn message(program: &Program, labels: &Array<u32>) -> String {
    let x = Array::<f32>::zeros([labels.len(), CLASSES]);
    let mut ws = program.workspace().unwrap();
    let error = program.run(&mut ws, (&x, labels)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Index);
    error.to_string()
}

#[test]
fn the_smallest_of_several_bad_labels_is_reported_at_any_length() {
    // Long enough for several blocks, which finish in any order.
    for n in [3, if cfg!(miri) { 100 } else { 100_000 }] {
        let good = Array::<u32>::zeros([n]);
        let program = loss(&good);
        let mut labels = vec![0; n];
        (labels[n - 1], labels[n / 2], labels[1]) = (9, 7, 4);
        for (at, value) in [(1, 4), (n / 2, 7), (n - 1, 9)] {
            if labels[at] != value {
                continue;
            }
            let text = message(&program, &Array::from(labels.clone()));
            let expected =
                format!("index {value} at position {at} is out of range for an axis of 4 elements");
            assert!(text.contains(&expected), "{text}");
            labels[at] = 3;
        }
        // All are right now: the program runs again, with nothing left of the errors.
        let x = Array::<f32>::zeros([n, CLASSES]);
        let labels = Array::from(labels);
        let mut ws = program.workspace().unwrap();
        program.run(&mut ws, (&x, &labels)).unwrap();
    }
}

#[test]
fn checking_takes_no_memory() {
    let n = 100;
    let program = loss(&Array::<u32>::zeros([n]));
    let listing = program.to_string();
    let line = listing.lines().find(|l| l.contains("checkindex")).unwrap();
    assert!(line.starts_with("kernel") && !line.contains("->"), "{line}");
}

#[test]
fn labels_behind_strides_are_checked_where_they_are_read() {
    // Every second label counts; the others would be out of range.
    let x = Array::<f32>::zeros([3, CLASSES]);
    let labels = Array::from([0u32, 99, 3, 99, 1, 99]);
    for fuse in [true, false] {
        let options = Options {
            fuse,
            ..Options::default()
        };
        let inputs = (x.clone(), labels.clone());
        let program = Program::record(&inputs, |_, (x, labels)| {
            let used = labels.reshape([3, 2]).narrow(1, 0, 1).reshape([3]);
            x.log_softmax(1).nll(used)
        })
        .unwrap()
        .with_options(options)
        .unwrap();
        let mut ws = program.workspace().unwrap();
        let out = program.run(&mut ws, (&x, &labels)).unwrap();
        let loss = out.array::<f32>(0).unwrap().into_vec()[0];
        assert!((loss - 4f32.ln()).abs() < 1e-6, "{loss}");
        let bad = Array::from([0u32, 0, 3, 0, 4, 99]);
        let error = program.run(&mut ws, (&x, &bad)).unwrap_err().to_string();
        assert!(error.contains("index 4 at position 2"), "{error}");
    }
}
