//! Windows that slide over the last two axes: what convolutions and pooling have in common.

/// A window of `kernel` taps, `dilation` apart, that moves by `stride` over an image with `padding` on either side.
///
/// Tap `t` of output `o` is image row (column) `o * stride + t * dilation - padding`. Pairs are (rows, columns).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// Taps, 1 at least.
    pub kernel: [usize; 2],
    /// From one output to the next, 1 at least.
    pub stride: [usize; 2],
    /// Beyond either end of the image.
    pub padding: [usize; 2],
    /// From one tap to the next, 1 at least.
    pub dilation: [usize; 2],
    /// Parts that channels and outputs are divided into, each part of the outputs seeing its own part of the channels.
    pub groups: usize,
}

impl Window {
    /// Image elements from the first tap to the last; `None` on overflow.
    pub fn span(&self, axis: usize) -> Option<usize> {
        let taps = self.kernel[axis].checked_sub(1)?;
        self.dilation[axis].checked_mul(taps)?.checked_add(1)
    }

    /// Extent of the image with its padding; `None` where that cannot be addressed.
    pub fn padded(&self, axis: usize, extent: usize) -> Option<usize> {
        let padded = self.padding[axis].checked_mul(2)?.checked_add(extent)?;
        (padded <= isize::MAX as usize / 2).then_some(padded)
    }

    /// How many times the window fits an image of `extent`; `None` if never.
    pub fn outputs(&self, axis: usize, extent: usize) -> Option<usize> {
        let room = self.padded(axis, extent)?.checked_sub(self.span(axis)?)?;
        Some(room / self.stride[axis] + 1)
    }

    /// Taps of the window; the most there can be, if more than fit: those of a pool may be beyond any image.
    pub fn area(&self) -> usize {
        self.kernel[0].saturating_mul(self.kernel[1])
    }

    /// Whether the windows leave out no element of any image: what is not left out has an adjoint that is no
    /// structural zero.
    pub fn covers(&self) -> bool {
        self.stride == [1, 1] && self.dilation == [1, 1]
    }
}
