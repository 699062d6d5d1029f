//! Which operations there are, and which ones a recording has: so that tests can tell what no test records.

use retrograde_ops::linalg::Linalg;
use retrograde_ops::structured::Division;
use retrograde_ops::{Binary, Reduce, Ternary, Unary};

use crate::op::{Draw, Op};
use crate::var::{Float, Var};

/// The variants of an enum without fields. A missing one does not compile.
macro_rules! every {
    ($of:ident: $($name:ident)*) => {{
        fn complete(x: $of) {
            match x {
                $($of::$name => {})*
            }
        }
        let all = [$($of::$name),*];
        all.into_iter().for_each(complete);
        all
    }};
}

/// The operations without fields, after those with, each once for every value of its field.
macro_rules! operations {
    ($($name:ident)*) => {{
        fn complete(op: Op) {
            match op {
                Op::Unary(_) | Op::Binary(_) | Op::Ternary(_) | Op::Division(_) => {}
                Op::Reduce(_) | Op::Linalg(_) | Op::Random(_) => {}
                $(Op::$name => {})*
            }
        }
        let all = [$(Op::$name),*];
        all.into_iter().for_each(complete);
        all
    }};
}

fn all() -> Vec<Op> {
    let mut all = Vec::new();
    all.extend(Unary::ALL.iter().copied().map(Op::Unary));
    all.extend(Binary::ALL.iter().copied().map(Op::Binary));
    all.extend(every! { Ternary: Fma Select Clamp }.map(Op::Ternary));
    all.extend(every! { Division: Quotient Remainder }.map(Op::Division));
    all.extend(every! { Reduce: Sum Prod Max Min }.map(Op::Reduce));
    all.extend(
        every! { Linalg: Cholesky TriangularSolve Lu Solve Det LogAbsDet SignDet Eigh Eigenvalues Eigenvectors Svd
        LeftVectors SingularValues RightVectors Qr Orthogonal Upper }
        .map(Op::Linalg),
    );
    all.extend(every! { Draw: Uniform Normal Bits Permutation }.map(Op::Random));
    all.extend(operations! {
        Input Const Uniform Iota PowI Cast Detach LogSumExp Softmax LogSoftmax ArgMax ArgMin Recurrence ArgSort
        SearchSorted CumMax CumArgMax LogCumSumExp Reshape Permute Slice Unslice Expand After Copy Concat MatMul Attention
        AttentionGrad Conv2d ConvInput ConvWeight MaxPool MaxPoolInput SumPool SumPoolInput Custom CustomGrad Gather
        ScatterAdd Scan CheckIndex
    });
    all
}

/// The names of all operations.
pub fn operations() -> Vec<String> {
    all().into_iter().map(|op| format!("{op:?}")).collect()
}

/// The names of the operations on the tape of a value, loops' bodies included.
pub fn operations_on<T: Float>(value: Var<'_, T>) -> Vec<String> {
    let state = value.rec.recorder.state.borrow();
    let list = &state.list;
    list.values().map(|v| format!("{:?}", list.op(v))).collect()
}
