//! The one door to raw memory: strided views become bounds-checked runs here, so that the kernels are safe code.

use std::marker::PhantomData;

use bytemuck::Pod;
use retrograde_storage::{DType, MAX_RANK, Shape, View};

/// A strided view of raw memory: element `(i, j, ..)` stands at `ptr + (offset + i * strides[0] + ..) * dtype.size()`.
///
/// Holding one promises nothing; running a kernel on it does (see [the block contract](super)).
#[derive(Clone, Copy, Debug)]
pub struct RawView {
    /// Element 0 of the buffer, aligned for `dtype`.
    pub ptr: *mut u8,
    /// Type of the elements (a bool is one byte, 0 or 1).
    pub dtype: DType,
    /// The extents.
    pub shape: Shape,
    /// Distance between neighbours along each axis, in elements; entries past the rank are 0.
    pub strides: [isize; MAX_RANK],
    /// Where the first element stands, in elements.
    pub offset: isize,
}

// SAFETY: a `RawView` is an address with a description; every access goes through the unsafe `run_block` of a kernel,
// whose contract covers concurrent use.
unsafe impl Send for RawView {}
// SAFETY: as for `Send`; nothing is read or written through a shared reference alone.
unsafe impl Sync for RawView {}

impl RawView {
    /// The elements of `view` in the buffer at `ptr`.
    pub fn new(ptr: *mut u8, dtype: DType, view: &View) -> Self {
        Self {
            ptr,
            dtype,
            shape: view.shape,
            strides: view.strides,
            offset: view.offset,
        }
    }

    /// The extents.
    pub fn dims(&self) -> &[usize] {
        self.shape.dims()
    }

    /// The description without the address.
    pub fn view(&self) -> View {
        View {
            shape: self.shape,
            offset: self.offset,
            strides: self.strides,
        }
    }

    /// The elements from the lowest to the highest addressed: their first position and their number.
    fn span(&self) -> (isize, usize) {
        if self.shape.is_empty() {
            return (0, 0);
        }
        let (mut low, mut high) = (self.offset, self.offset);
        for (axis, &d) in self.dims().iter().enumerate() {
            let reach = (d as isize - 1) * self.strides[axis];
            low += reach.min(0);
            high += reach.max(0);
        }
        (low, (high - low) as usize + 1)
    }

    /// The view's elements for reading.
    ///
    /// # Safety
    /// While the result lives, every element from the lowest to the highest the view addresses lies in one live
    /// allocation, aligned and valid for `T`, and nobody writes an element that is read.
    pub(crate) unsafe fn source<T: Pod>(&self) -> Source<T> {
        debug_assert_eq!(size_of::<T>(), self.dtype.size());
        let (low, len) = self.span();
        Source {
            // `wrapping`: an empty view may stand nowhere.
            low: self.ptr.cast::<T>().wrapping_offset(low),
            start: low,
            len,
        }
    }

    /// The view's elements for writing.
    ///
    /// # Safety
    /// As [`source`](Self::source), and nobody else touches an element that is read or written through the result.
    pub(crate) unsafe fn dest<T: Pod>(&self) -> Dest<T> {
        // SAFETY: the caller's promise is stronger.
        Dest(unsafe { self.source() })
    }
}

/// Elements to read, addressed as their [`RawView`] does; every access is checked against the view's span.
#[derive(Clone, Copy)]
pub(crate) struct Source<T> {
    low: *mut T,
    start: isize,
    len: usize,
}

impl<T: Pod> Source<T> {
    /// The address of `len` elements `step` apart, the first at `at`.
    #[inline(always)]
    fn locate(&self, at: isize, step: isize, len: usize) -> *mut T {
        let first = at - self.start;
        let last = first + step * (len as isize - 1);
        assert!(
            len == 0 || ((first as usize) < self.len && (last as usize) < self.len),
            "a kernel left its view"
        );
        self.low.wrapping_offset(first)
    }

    /// The element at `at`.
    #[inline(always)]
    pub(crate) fn get(&self, at: isize) -> T {
        let ptr = self.locate(at, 0, 1);
        // SAFETY: inside the span by the check, readable by the promise to `RawView::source`.
        unsafe { *ptr }
    }

    /// `len` elements `step` apart, the first at `at`.
    #[inline(always)]
    pub(crate) fn run(&self, at: isize, step: isize, len: usize) -> Run<'_, T> {
        Run {
            ptr: self.locate(at, step, len),
            step,
            len,
            life: PhantomData,
        }
    }

    /// `len` neighbours, the first at `at`.
    #[inline(always)]
    pub(crate) fn row(&self, at: isize, len: usize) -> &[T] {
        if len == 0 {
            return &[];
        }
        let ptr = self.locate(at, 1, len);
        // SAFETY: both ends are inside the span by the check, hence all between; readable and unwritten while `self`
        // lives by the promise to `RawView::source`.
        unsafe { std::slice::from_raw_parts(ptr, len) }
    }
}

/// Elements to write.
pub(crate) struct Dest<T>(Source<T>);

impl<T: Pod> Dest<T> {
    /// The element at `at`.
    #[inline(always)]
    pub(crate) fn get(&self, at: isize) -> T {
        self.0.get(at)
    }

    /// Writes the element at `at`.
    #[inline(always)]
    pub(crate) fn set(&mut self, at: isize, value: T) {
        let ptr = self.0.locate(at, 0, 1);
        // SAFETY: inside the span by the check; ours alone by the promise to `RawView::dest`.
        unsafe { *ptr = value }
    }

    /// `len` elements `step` apart, the first at `at`.
    #[inline(always)]
    pub(crate) fn run_mut(&mut self, at: isize, step: isize, len: usize) -> RunMut<'_, T> {
        RunMut(
            Run {
                ptr: self.0.locate(at, step, len),
                step,
                len,
                life: PhantomData,
            },
            PhantomData,
        )
    }

    /// `len` neighbours, the first at `at`.
    #[inline(always)]
    pub(crate) fn row_mut(&mut self, at: isize, len: usize) -> &mut [T] {
        if len == 0 {
            return &mut [];
        }
        let ptr = self.0.locate(at, 1, len);
        // SAFETY: inside the span by the check; ours alone by the promise to `RawView::dest`, and the borrow of `self`
        // keeps a second slice from this block away.
        unsafe { std::slice::from_raw_parts_mut(ptr, len) }
    }
}

/// `len` elements a fixed distance apart.
#[derive(Clone, Copy)]
pub(crate) struct Run<'a, T> {
    ptr: *mut T,
    step: isize,
    len: usize,
    life: PhantomData<&'a T>,
}

impl<T: Pod> Run<'_, T> {
    /// Element `i`; the check folds away in a loop over `0..len`.
    #[inline(always)]
    pub(crate) fn get(&self, i: usize) -> T {
        assert!(i < self.len);
        // SAFETY: `i < len`, and `Source::run` checked first and last, hence all between.
        unsafe { *self.ptr.offset(i as isize * self.step) }
    }
}

/// `len` elements a fixed distance apart, to write.
pub(crate) struct RunMut<'a, T>(Run<'a, T>, PhantomData<&'a mut T>);

impl<T: Pod> RunMut<'_, T> {
    /// Writes element `i`.
    #[inline(always)]
    pub(crate) fn set(&mut self, i: usize, value: T) {
        assert!(i < self.0.len);
        // SAFETY: as `Run::get`; ours alone by the promise to `RawView::dest`.
        unsafe { *self.0.ptr.offset(i as isize * self.0.step) = value }
    }

    /// Element `i`.
    #[inline(always)]
    pub(crate) fn get(&self, i: usize) -> T {
        self.0.get(i)
    }
}
