//! Scalar instructions over cells.

use retrograde_ops::Unary;
use retrograde_ops::scalar::{Program, ScalarCode, ScalarOp};
use retrograde_storage::Packed;
use rustc_hash::FxHashMap;

use crate::list::{List, Value};
use crate::op::Op;
use crate::passes::memory::Place;
use crate::passes::places::Places;

/// Emits a run of scalar instructions over cells.
pub(crate) fn scalars(
    list: &List,
    places: &Places,
    steps: &[Value],
    cell: &dyn Fn(Value) -> Place,
) -> Program {
    let at = |v: Value| match cell(places.base(v)) {
        Place::Cell(i) => i,
        other => unreachable!("{v} is a scalar, but lives in {other:?}"),
    };
    let angles = Angles::find(list, places, steps);
    let each = steps.iter().filter_map(|&v| {
        let args = list.args(v);
        let reg = |i: usize| args.get(i).map_or(0, |&a| at(a));
        let x = list.dtype(args[0]);
        let (mut dst, mut b) = (at(v), reg(1));
        let (code, imm) = match list.op(v) {
            Op::Unary(op @ (Unary::Sin | Unary::Cos)) => match angles.both(places.base(args[0])) {
                Some([sine, cosine]) if v == sine.min(cosine) => {
                    (dst, b) = (at(sine), at(cosine));
                    (ScalarCode::SinCos(x), 0)
                }
                Some([sine, cosine]) if v == sine.max(cosine) => return None,
                _ => (ScalarCode::Unary(x, op), 0),
            },
            Op::Unary(op) => (ScalarCode::Unary(x, op), 0),
            Op::Binary(op) => (ScalarCode::Binary(x, op), 0),
            Op::Ternary(op) => (ScalarCode::Ternary(list.dtype(v), op), 0),
            Op::PowI => (ScalarCode::PowI(x), list.attr(v).as_int() as u64),
            Op::Cast => (ScalarCode::Cast(x, list.dtype(v)), 0),
            other => unreachable!("{other:?} is not a scalar instruction"),
        };
        Some(ScalarOp {
            code,
            dst,
            a: reg(0),
            b,
            c: reg(2),
            imm,
        })
    });
    Program::new(each)
}

/// Values whose sine and cosine are both computed: as one instruction, where the first of them stands. (A value has its
/// cell to itself, so the other may be written early.)
struct Angles(FxHashMap<Value, [Packed<Value>; 2]>);

impl Angles {
    fn find(list: &List, places: &Places, steps: &[Value]) -> Self {
        let mut angles: FxHashMap<Value, [Packed<Value>; 2]> = FxHashMap::default();
        for &v in steps {
            let which = match list.op(v) {
                Op::Unary(Unary::Sin) => 0,
                Op::Unary(Unary::Cos) => 1,
                _ => continue,
            };
            let of = angles.entry(places.base(list.arg(v, 0)));
            let first = &mut of.or_insert([Packed::NONE; 2])[which];
            *first = Packed::some(first.get().unwrap_or(v));
        }
        Self(angles)
    }

    /// Sine and cosine of a value, if both are computed.
    fn both(&self, angle: Value) -> Option<[Value; 2]> {
        let &[sine, cosine] = self.0.get(&angle)?;
        Some([sine.get()?, cosine.get()?])
    }
}
