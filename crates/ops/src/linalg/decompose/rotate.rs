//! Givens rotations (Golub and Van Loan, Matrix Computations, 5.1.8).

/// Cosine and sine of a rotation.
#[derive(Clone, Copy)]
pub(super) struct Rotation {
    pub(super) c: f64,
    pub(super) s: f64,
}

impl Rotation {
    /// The rotation that takes `(x, y)` to `(r, 0)`, and `r`. Elements were scaled, so their squares do not overflow.
    pub(super) fn to_first(x: f64, y: f64) -> (Self, f64) {
        let (ax, ay) = (x.abs(), y.abs());
        // The smaller over the larger, lest both squares vanish.
        let (large, small) = if ax > ay { (ax, ay) } else { (ay, ax) };
        if small == 0.0 {
            return if ax > ay || ay == 0.0 {
                (Self { c: 1.0, s: 0.0 }, x)
            } else {
                (Self { c: 0.0, s: 1.0 }, y)
            };
        }
        let ratio = small / large;
        let r = large * (1.0 + ratio * ratio).sqrt();
        (Self { c: x / r, s: y / r }, r)
    }

    /// `(x, y)` turned.
    pub(super) fn of(self, x: f64, y: f64) -> (f64, f64) {
        (self.c * x + self.s * y, self.c * y - self.s * x)
    }

    /// Two columns turned, element by element.
    pub(super) fn turn(self, (x, y): (&mut [f64], &mut [f64])) {
        for (x, y) in x.iter_mut().zip(y) {
            (*x, *y) = self.of(*x, *y);
        }
    }
}
