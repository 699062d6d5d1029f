//! Convolutions and their adjoints.

use retrograde_ops::product::Float;
use retrograde_ops::structured::Mismatch;
use retrograde_ops::{Level, Window, conv};
use retrograde_storage::Packet;

use super::product::PRODUCT_NS;
use super::{Block, Operand, Work};

/// One of the maps between image, weight and output.
#[derive(Debug)]
pub(super) struct Conv<T: Float> {
    plan: conv::Plan<T>,
    /// Image, weight and output.
    operands: [Operand; 3],
}

impl<T: Float> Conv<T> {
    /// Operands of rank 4 whose extents fit, as recording checked.
    pub(super) fn new(
        level: Level,
        kind: conv::Kind,
        window: &Window,
        operands: &[Operand; 3],
    ) -> Self {
        let dims = |i: usize| operands[i].view.shape.dims();
        let (image, output) = (dims(0), dims(2));
        let spec = conv::Spec {
            kind,
            batch: image[0],
            channels: image[1],
            extent: [image[2], image[3]],
            outputs: output[1],
            window: *window,
        };
        Self {
            plan: conv::Plan::new(level, &spec),
            operands: *operands,
        }
    }
}

impl<T: Float> Work for Conv<T> {
    /// Kernels go through memory by extents alone.
    fn check(&self) -> Result<(), Mismatch> {
        if self.operands.iter().all(|x| x.view.is_dense()) {
            return Ok(());
        }
        Err(Mismatch {
            kernel: "convolution",
            expected: "dense operands",
        })
    }

    fn phases(&self) -> Vec<usize> {
        let blocks = self.plan.blocks().into_iter();
        blocks.take_while(|&blocks| blocks > 0).collect()
    }

    fn cost_ns(&self) -> f64 {
        let each = PRODUCT_NS * (size_of::<T>() / size_of::<f32>()) as f64;
        self.plan.terms() * each
    }

    fn shared_packets(&self) -> usize {
        self.plan.shared_packets().unwrap_or(usize::MAX)
    }

    fn scratch_packets(&self) -> usize {
        self.plan.scratch_packets()
    }

    unsafe fn run(&self, at: Block<'_>, scratch: &mut [Packet]) {
        let [image, weight, output] = self.operands.each_ref().map(|x| {
            let base = at.bindings.address(x.at).cast::<T>();
            base.wrapping_offset(x.view.offset)
        });
        let operands = conv::Operands {
            image,
            weight,
            output,
        };
        // SAFETY: the caller's contract; the operands are dense, of the extents the plan was made for, and `shared` has
        // the packets that `shared_packets` asked for.
        unsafe {
            self.plan
                .run_block(at.phase, at.block, &operands, at.shared, scratch);
        }
    }
}
