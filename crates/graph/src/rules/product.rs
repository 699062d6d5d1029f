//! Rule of the matrix product.

use super::Sweep;
use crate::list::Value;

impl Sweep<'_> {
    /// `g y^T` and `x^T g`. The transposes are views. Broadcast batch axes are summed when the operand's turn comes.
    pub(super) fn matmul(&mut self, v: Value, g: Value) {
        let (x, y) = (self.list.arg(v, 0), self.list.arg(v, 1));
        if self.wants(x) {
            let transposed = self.list.transpose(y);
            let gx = self.list.matmul(g, transposed);
            self.give(x, gx);
        }
        if self.wants(y) {
            let transposed = self.list.transpose(x);
            let gy = self.list.matmul(transposed, g);
            self.give(y, gy);
        }
    }
}
