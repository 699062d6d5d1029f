//! Shapes against `NumPy`'s broadcasting rule, views against index arithmetic on explicit lists of positions.

use proptest::prelude::*;
use retrograde_storage::{MAX_RANK, Shape, ShapeError, View};

#[test]
fn extents_that_cannot_be_are_refused() {
    assert_eq!(Shape::new(&[1; 9]), Err(ShapeError::Rank(9)));
    assert_eq!(Shape::new(&[usize::MAX]), Err(ShapeError::Overflow));
    assert_eq!(Shape::new(&[1 << 31, 1 << 31]), Err(ShapeError::Overflow));
    // A zero makes the tensor empty but excuses no other extent: strides multiply them.
    assert_eq!(Shape::new(&[0, usize::MAX]), Err(ShapeError::Overflow));
    assert_eq!(
        Shape::new(&[1 << 40, 0, 1 << 40]),
        Err(ShapeError::Overflow)
    );
    let limit = isize::MAX as usize / 8;
    assert_eq!(Shape::new(&[limit]).map(|s| s.len()), Ok(limit));
    assert_eq!(Shape::new(&[limit + 1]), Err(ShapeError::Overflow));
    assert_eq!(Shape::new(&[usize::MAX; 8]), Err(ShapeError::Overflow));
}

#[test]
fn scalars_and_empty_shapes() {
    assert_eq!((Shape::SCALAR.len(), Shape::SCALAR.rank()), (1, 0));
    assert_eq!(Shape::new(&[]), Ok(Shape::SCALAR));
    assert_eq!(Shape::new(&[0]), Ok(Shape::EMPTY));
    let s = Shape::new(&[3, 0, 2]).unwrap();
    assert!(s.is_empty() && !Shape::SCALAR.is_empty());
    assert_eq!(s.to_string(), "[3, 0, 2]");
    assert_eq!(Shape::SCALAR.to_string(), "[]");
    assert_eq!(s.position(&[0, 0, 0]), None);
    assert_eq!(Shape::SCALAR.position(&[]), Some(0));
    assert_eq!(Shape::new(&[2]).unwrap().position(&[usize::MAX]), None);
    assert_eq!(Shape::new(&[2]).unwrap().position(&[0, 0]), None);
}

#[test]
fn a_broadcast_that_overflows_is_refused() {
    let (a, b) = (
        Shape::new(&[1 << 40, 1]).unwrap(),
        Shape::new(&[1, 1 << 40]).unwrap(),
    );
    assert_eq!(a.broadcast(&b), None);
}

#[test]
fn slices_of_nothing_do_not_overflow() {
    let view = View::dense(Shape::new(&[4, 5]).unwrap());
    let one = view.slice(0, 2, isize::MAX, 1);
    assert_eq!(positions(&one), [10, 11, 12, 13, 14]);
    assert!(view.slice(0, usize::MAX, isize::MIN, 0).shape.is_empty());
}

#[test]
fn a_reshape_to_another_size_is_none() {
    let view = View::dense(Shape::new(&[4, 5]).unwrap());
    for dims in [&[19][..], &[21], &[0], &[], &[20, 2], &[7, 3]] {
        assert_eq!(view.reshape(Shape::new(dims).unwrap()), None);
    }
    let empty = View::dense(Shape::new(&[0, 5]).unwrap());
    assert!(empty.reshape(Shape::new(&[2, 0]).unwrap()).is_some());
    assert_eq!(empty.reshape(Shape::SCALAR), None);
}

/// Where a view's elements stand, in row-major order.
fn positions(view: &View) -> Vec<isize> {
    let dims = view.shape.dims();
    indices(dims)
        .iter()
        .map(|index| {
            view.offset
                + index
                    .iter()
                    .zip(&view.strides)
                    .map(|(&i, &s)| i as isize * s)
                    .sum::<isize>()
        })
        .collect()
}

/// All indices of a shape in row-major order, by counting up.
fn indices(dims: &[usize]) -> Vec<Vec<usize>> {
    let mut all = vec![vec![]];
    for &d in dims {
        all = all
            .iter()
            .flat_map(|head| (0..d).map(move |i| [&head[..], &[i]].concat()))
            .collect();
    }
    all
}

/// A tensor of positions without strides: the oracle of views.
#[derive(Clone, Debug)]
struct Explicit {
    dims: Vec<usize>,
    at: Vec<isize>,
}

impl Explicit {
    /// The tensor of extents `dims` whose element at an index is this one's at `source(index)`.
    fn gather(&self, dims: Vec<usize>, source: impl Fn(&[usize]) -> Vec<usize>) -> Self {
        let all = indices(&self.dims);
        let at = indices(&dims)
            .iter()
            .map(|index| self.at[all.iter().position(|i| *i == source(index)).unwrap()])
            .collect();
        Self { dims, at }
    }

    /// Whether some strides give these positions under `dims`: if any do, the first step along each axis is one's stride.
    fn strided(&self, dims: &[usize]) -> bool {
        let all = indices(dims);
        let unit = |axis: usize| {
            all.iter().position(|index| {
                index
                    .iter()
                    .enumerate()
                    .all(|(a, &i)| i == usize::from(a == axis))
            })
        };
        let strides: Vec<isize> = (0..dims.len())
            .map(|axis| unit(axis).map_or(0, |p| self.at[p] - self.at[0]))
            .collect();
        all.iter().zip(&self.at).all(|(index, &at)| {
            at == self.at[0]
                + index
                    .iter()
                    .zip(&strides)
                    .map(|(&i, &s)| i as isize * s)
                    .sum::<isize>()
        })
    }
}

#[derive(Clone, Debug)]
enum Step {
    Permute(u64),
    Slice(usize, usize, usize, bool),
    Expand(usize, usize),
    Reshape(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        any::<u64>().prop_map(Step::Permute),
        (0..4_usize, 0..4_usize, 1..4_usize, any::<bool>())
            .prop_map(|(a, s, t, b)| Step::Slice(a, s, t, b)),
        (0..5_usize, 1..4_usize).prop_map(|(axis, n)| Step::Expand(axis, n)),
        any::<u64>().prop_map(Step::Reshape),
    ]
}

/// A permutation of `0..n` that `seed` chooses.
fn permutation(n: usize, mut seed: u64) -> Vec<usize> {
    let mut left: Vec<usize> = (0..n).collect();
    (0..n)
        .map(|_| {
            let pick = left.remove((seed % left.len() as u64) as usize);
            seed = seed.rotate_right(7).wrapping_mul(0x9E37_79B9);
            pick
        })
        .collect()
}

/// Extents with as many elements as `len`, that `seed` chooses, ones among them.
fn factors(mut len: usize, mut seed: u64) -> Vec<usize> {
    if len == 0 {
        return vec![(seed % 3) as usize, 0];
    }
    let mut dims = vec![];
    while dims.len() < MAX_RANK - 1 && (len > 1 || seed & 3 == 1) {
        let divisors: Vec<usize> = (1..=len).filter(|d| len.is_multiple_of(*d)).collect();
        let d = divisors[(seed >> 3) as usize % divisors.len()];
        dims.push(d);
        len /= d;
        seed = seed.rotate_right(11).wrapping_mul(0x9E37_79B9);
    }
    if len != 1 {
        dims.push(len);
    }
    dims
}

fn cases() -> u32 {
    if std::env::var_os("RETROGRADE_LONG").is_some() {
        20_000
    } else if cfg!(miri) {
        10
    } else {
        500
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn views_agree_with_explicit_positions(
        dims in prop::collection::vec(0..4_usize, 0..4),
        steps in prop::collection::vec(step(), 0..6),
    ) {
        let mut view = View::dense(Shape::new(&dims).unwrap());
        let mut oracle = Explicit { at: (0..dims.iter().product::<usize>() as isize).collect(), dims };
        prop_assert!(view.is_dense());
        for step in steps {
            let dims = oracle.dims.clone();
            let rank = dims.len();
            match step {
                Step::Permute(seed) => {
                    let order = permutation(rank, seed);
                    view = view.permute(&order);
                    oracle = oracle.gather(order.iter().map(|&a| dims[a]).collect(), |index| {
                        let mut source = vec![0; rank];
                        order.iter().zip(index).for_each(|(&a, &i)| source[a] = i);
                        source
                    });
                }
                Step::Slice(axis, start, step, backwards) if axis < rank && dims[axis] > 0 => {
                    let start = start % dims[axis];
                    let (room, sign) = if backwards { (start, -1) } else { (dims[axis] - 1 - start, 1) };
                    let len = room / step + 1;
                    let stride = sign * step as isize;
                    view = view.slice(axis, start, stride, len);
                    let mut sliced = dims;
                    sliced[axis] = len;
                    oracle = oracle.gather(sliced, |index| {
                        let mut source = index.to_vec();
                        source[axis] = (start as isize + index[axis] as isize * stride) as usize;
                        source
                    });
                }
                // A new axis in front, or every axis of extent 1 expanded.
                Step::Expand(lead, n) if rank + 1 < MAX_RANK && oracle.at.len() * n * n < 300 => {
                    let mut wide: Vec<usize> = dims.iter().map(|&d| if d == 1 { n } else { d }).collect();
                    let lead = usize::from(lead % 2 == 0);
                    if lead == 1 {
                        wide.insert(0, n);
                    }
                    if wide.iter().product::<usize>() < 300 {
                        view = view.expand(Shape::new(&wide).unwrap());
                        oracle = oracle.gather(wide, |index| {
                            index[lead..].iter().zip(&dims).map(|(&i, &d)| if d == 1 { 0 } else { i }).collect()
                        });
                    }
                }
                Step::Reshape(seed) => {
                    let dims = factors(oracle.at.len(), seed);
                    let reshaped = view.reshape(Shape::new(&dims).unwrap());
                    prop_assert_eq!(reshaped.is_some(), oracle.strided(&dims), "{:?} to {:?}", view, dims);
                    if let Some(reshaped) = reshaped {
                        view = reshaped;
                        oracle.dims = dims;
                    }
                }
                _ => {}
            }
            prop_assert_eq!(view.shape.dims(), &oracle.dims[..]);
            prop_assert_eq!(positions(&view), oracle.at.clone());
            let consecutive = oracle.at.windows(2).all(|w| w[1] == w[0] + 1);
            prop_assert_eq!(view.is_dense(), consecutive);
            prop_assert!(view.strides[view.shape.rank()..].iter().all(|&s| s == 0));
        }
    }

    #[test]
    fn broadcasting_is_numpys(
        a in prop::collection::vec(0..4_usize, 0..5),
        b in prop::collection::vec(0..4_usize, 0..5),
        related in any::<u8>(),
    ) {
        // Half of the cases derive `b` from `a`, or few would match.
        let b = if related & 1 == 1 {
            let ones = a.iter().enumerate().map(|(i, &d)| if related >> (i + 2) & 1 == 1 { 1 } else { d });
            ones.skip(usize::from(related >> 1 & 1)).collect()
        } else {
            b
        };
        let rank = a.len().max(b.len());
        let pad = |s: &[usize]| [vec![1; rank - s.len()], s.to_vec()].concat();
        let expected: Option<Vec<usize>> = pad(&a)
            .iter()
            .zip(pad(&b))
            .map(|(&x, y)| if x == y || y == 1 { Some(x) } else if x == 1 { Some(y) } else { None })
            .collect();
        let (a, b) = (Shape::new(&a).unwrap(), Shape::new(&b).unwrap());
        prop_assert_eq!(a.broadcast(&b).map(|s| s.dims().to_vec()), expected);
        prop_assert_eq!(a.broadcast(&b), b.broadcast(&a));
    }

    #[test]
    fn positions_count_up(dims in prop::collection::vec(0..4_usize, 0..5)) {
        let shape = Shape::new(&dims).unwrap();
        let all = indices(&dims);
        prop_assert_eq!(all.len(), shape.len());
        for (position, index) in all.iter().enumerate() {
            prop_assert_eq!(shape.position(index), Some(position));
            prop_assert_eq!(&shape.index_of(position)[..dims.len()], &index[..]);
            let stride: isize = index.iter().zip(shape.strides()).map(|(&i, s)| i as isize * s).sum();
            prop_assert_eq!(stride, position as isize);
        }
    }
}

/// Shapes that differ in one extent, or in rank alone, are different.
#[test]
fn shapes_are_the_same_or_not() {
    let shapes = [
        &[][..],
        &[1],
        &[0],
        &[2, 3],
        &[3, 2],
        &[2, 3, 1],
        &[1, 1, 1, 1, 1, 1, 1, 1],
    ];
    let shapes: Vec<Shape> = shapes.iter().map(|d| Shape::new(d).unwrap()).collect();
    for a in &shapes {
        for b in &shapes {
            let same = a.rank() == b.rank() && a.dims() == b.dims();
            assert_eq!(a == b, same, "{a} {b}");
        }
    }
}
