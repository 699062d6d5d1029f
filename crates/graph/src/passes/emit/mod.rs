//! The kernels of each step: micro-ops and slots for groups, compact programs for scalars, operands with their places for
//! the rest.

mod group;
pub(super) mod operands;
mod scalars;
mod slots;

use retrograde_ops::tile::{self, Class, Code, Elem, MicroOp, ViewSpec, Width};
use retrograde_storage::DType;

pub(crate) use group::group;
pub(crate) use scalars::scalars;

use crate::list::{List, Value};

/// A group ready to run.
#[derive(Debug)]
pub(crate) struct GroupStep {
    /// The micro-ops.
    pub group: tile::Group,
    /// By view of the group: whose memory, and the first element's position in it.
    pub bases: Vec<(Value, isize)>,
    /// By reduction: the value it computes.
    pub results: Vec<Value>,
    /// By micro-op: the instruction it serves, for listings and errors.
    pub values: Vec<Value>,
    /// Instructions without a micro-op of their own, with the one whose micro-op computes both.
    pub paired: Vec<(Value, Value)>,
}

fn elem(dtype: DType) -> Elem {
    match dtype {
        DType::F32 | DType::F64 => Elem::Float,
        DType::U32 | DType::I64 => Elem::Int,
        DType::Bool => Elem::Mask,
    }
}

/// Bits of a literal as the tile engine and the scalar interpreter want them.
fn literal_bits(list: &List, v: Value, narrow: bool) -> u64 {
    let attr = list.attr(v);
    match list.dtype(v) {
        DType::F32 if narrow => u64::from((attr.as_float() as f32).to_bits()),
        DType::F32 | DType::F64 => attr.as_float().to_bits(),
        DType::U32 => u64::from(attr.as_int() as u32),
        DType::I64 => attr.as_int() as u64,
        DType::Bool => u64::from(attr.as_int() != 0),
    }
}

/// A group of its own for `0, 1, 2, ...`.
pub(crate) fn iota(list: &List, v: Value) -> GroupStep {
    let dtype = list.dtype(v);
    let width = if dtype.size() == 8 {
        Width::Eight
    } else {
        Width::Four
    };
    let load = MicroOp::new(Code::Iota(tile::Axis::Inner, elem(dtype)), 0);
    let group = tile::Group {
        space: [1, 1, list.shape(v).len()],
        width,
        ops: vec![load, MicroOp::new(Code::Store, 0)],
        slots: vec![Class::Full],
        views: vec![ViewSpec {
            dtype,
            strides: [0, 0, 1],
        }],
        constants: Vec::new(),
        uniforms: Vec::new(),
        reductions: Vec::new(),
    };
    GroupStep {
        group,
        bases: vec![(v, 0)],
        results: Vec::new(),
        values: vec![v, v],
        paired: Vec::new(),
    }
}

/// Bits that a literal's cell holds from the start.
pub(crate) fn cell_bits(list: &List, v: Value) -> u64 {
    literal_bits(list, v, true)
}
