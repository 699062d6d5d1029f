//! Learning rates over time.

use std::f64::consts::PI;

/// A factor on the learning rate as a function of the step, counted from 0.
///
/// ```
/// use retrograde_nn::Schedule;
/// let s = Schedule::cosine(100, 0.1).warm_up(10);
/// assert_eq!(s.factor(0), 0.1);     // 1/10 of the way up
/// assert_eq!(s.factor(10), 1.0);    // the cosine starts after the warm-up
/// assert!((s.factor(110) - 0.1).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    warm_up: u64,
    curve: Curve,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Curve {
    Constant,
    Step { every: u64, factor: f64 },
    Cosine { steps: u64, floor: f64 },
}

impl Default for Schedule {
    fn default() -> Self {
        Self::constant()
    }
}

impl Schedule {
    /// Always 1.
    pub const fn constant() -> Self {
        Self {
            warm_up: 0,
            curve: Curve::Constant,
        }
    }
    /// `factor^floor(step / every)`; `every` of 0 counts as 1.
    pub const fn step(every: u64, factor: f64) -> Self {
        Self {
            warm_up: 0,
            curve: Curve::Step { every, factor },
        }
    }
    /// `floor + (1 - floor) (1 + cos(pi step / steps)) / 2`, and `floor` after `steps`.
    pub const fn cosine(steps: u64, floor: f64) -> Self {
        Self {
            warm_up: 0,
            curve: Curve::Cosine { steps, floor },
        }
    }
    /// Before everything else, `steps` steps that rise linearly: `(step + 1) / steps`. The first is not 0, for a step
    /// at rate 0 would be wasted.
    pub const fn warm_up(self, steps: u64) -> Self {
        Self {
            warm_up: steps,
            ..self
        }
    }

    /// The factor of a step.
    pub fn factor(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return (step + 1) as f64 / self.warm_up as f64;
        }
        let step = step - self.warm_up;
        match self.curve {
            Curve::Constant => 1.0,
            Curve::Step { every, factor } => factor.powf((step / every.max(1)) as f64),
            Curve::Cosine { steps, floor } if step < steps => {
                floor + (1.0 - floor) * 0.5 * (1.0 + (PI * step as f64 / steps as f64).cos())
            }
            Curve::Cosine { floor, .. } => floor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_pass_through_known_points() {
        assert!((0..5).all(|i| Schedule::constant().factor(i * 1000) == 1.0));
        let s = Schedule::step(10, 0.5);
        assert_eq!(
            [0, 9, 10, 19, 20, 35].map(|i| s.factor(i)),
            [1.0, 1.0, 0.5, 0.5, 0.25, 0.125]
        );
        let s = Schedule::cosine(100, 0.0);
        assert_eq!(s.factor(0), 1.0);
        assert!((s.factor(50) - 0.5).abs() < 1e-15);
        // cos(pi / 3) = 1/2, cos(2 pi / 3) = -1/2: thirds of 99 steps.
        let s = Schedule::cosine(99, 0.2);
        assert!((s.factor(33) - (0.2 + 0.8 * 0.75)).abs() < 1e-15);
        assert!((s.factor(66) - (0.2 + 0.8 * 0.25)).abs() < 1e-15);
        assert_eq!([s.factor(99), s.factor(u64::MAX)], [0.2, 0.2]);
    }

    #[test]
    fn warm_up_rises_linearly_and_then_starts_the_curve() {
        let s = Schedule::step(2, 0.5).warm_up(4);
        assert_eq!(
            [0, 1, 2, 3, 4, 5, 6].map(|i| s.factor(i)),
            [0.25, 0.5, 0.75, 1.0, 1.0, 1.0, 0.5]
        );
    }

    #[test]
    fn empty_periods_are_no_division_by_zero() {
        assert_eq!(Schedule::step(0, 0.5).factor(3), 0.125);
        assert_eq!(Schedule::cosine(0, 0.3).factor(0), 0.3);
    }
}
