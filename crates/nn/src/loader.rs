//! Mini-batches of samples in a shuffled order.

use retrograde::{Array, Element, Error, ErrorKind, Result};

use crate::random::SplitMix;

/// Samples and their labels, both along the first axis, handed out in batches. Every pass is a new order, which the seed
/// and the number of the pass determine.
///
/// ```
/// use retrograde_nn::prelude::*;
/// let (x, y) = (Array::arange(10).reshape([5, 2])?, Array::from([0_u32, 1, 2, 3, 4]));
/// let mut loader = Loader::new(&x, &y, 2)?.shuffle(7);
/// for (x, y) in &mut loader {
///     assert_eq!(x[[0, 0]], 2.0 * y[[0]] as f32);
/// }
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Loader<'a, X: Element = f32, Y: Element = u32> {
    samples: &'a Array<X>,
    labels: &'a Array<Y>,
    order: Vec<u32>,
    batch: usize,
    random: Option<SplitMix>,
    drop_last: bool,
}

impl<'a, X: Element, Y: Element> Loader<'a, X, Y> {
    /// Batches of `batch` samples in their own order.
    pub fn new(samples: &'a Array<X>, labels: &'a Array<Y>, batch: usize) -> Result<Self> {
        samples.check()?;
        labels.check()?;
        let fault = |kind, message: String| Err(Error::new(kind, message));
        let (Some(&n), Some(&m)) = (samples.shape().first(), labels.shape().first()) else {
            return fault(
                ErrorKind::Shape,
                "a loader needs samples and labels along a first axis, not scalars".into(),
            );
        };
        if n != m {
            return fault(
                ErrorKind::Shape,
                format!("there are {n} samples but {m} labels"),
            );
        }
        if batch == 0 {
            return fault(
                ErrorKind::Setting,
                "a batch must have a sample at least".into(),
            );
        }
        let Ok(count) = u32::try_from(n) else {
            return fault(
                ErrorKind::Memory,
                format!("{n} samples are more than a loader numbers"),
            );
        };
        Ok(Self {
            samples,
            labels,
            order: (0..count).collect(),
            batch,
            random: None,
            drop_last: false,
        })
    }

    /// In a new random order for each pass.
    #[must_use]
    pub fn shuffle(mut self, seed: u64) -> Self {
        self.random = Some(SplitMix::new(seed));
        self
    }
    /// Without the last batch where it is short, so that all batches have one shape.
    #[must_use]
    pub fn drop_last(mut self) -> Self {
        self.drop_last = true;
        self
    }
    /// Batches in a pass.
    pub fn len(&self) -> usize {
        if self.drop_last {
            self.order.len() / self.batch
        } else {
            self.order.len().div_ceil(self.batch)
        }
    }
    /// Whether a pass has no batch.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The next pass over all samples.
    pub fn epoch(&mut self) -> Epoch<'_, X, Y> {
        if let Some(random) = &mut self.random {
            random.shuffle(&mut self.order);
        }
        let batches = self.len();
        Epoch {
            samples: self.samples,
            labels: self.labels,
            batch: self.batch,
            order: &self.order,
            batches,
        }
    }
}

// What it yields is an epoch of pairs, and the method for that is called `epoch`.
#[allow(clippy::into_iter_without_iter)]
impl<'l, X: Element, Y: Element> IntoIterator for &'l mut Loader<'_, X, Y> {
    type Item = (Array<X>, Array<Y>);
    type IntoIter = Epoch<'l, X, Y>;
    /// [`Loader::epoch`].
    fn into_iter(self) -> Epoch<'l, X, Y> {
        self.epoch()
    }
}

/// One pass over a [`Loader`]'s samples.
#[derive(Clone, Debug)]
pub struct Epoch<'l, X: Element = f32, Y: Element = u32> {
    samples: &'l Array<X>,
    labels: &'l Array<Y>,
    batch: usize,
    /// Samples still to come.
    order: &'l [u32],
    batches: usize,
}

impl<X: Element, Y: Element> Iterator for Epoch<'_, X, Y> {
    type Item = (Array<X>, Array<Y>);
    fn next(&mut self) -> Option<Self::Item> {
        self.batches = self.batches.checked_sub(1)?;
        let (now, later) = self.order.split_at(self.batch.min(self.order.len()));
        self.order = later;
        Some((rows(self.samples, now), rows(self.labels, now)))
    }
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.batches, Some(self.batches))
    }
}

impl<X: Element, Y: Element> ExactSizeIterator for Epoch<'_, X, Y> {}

/// Some rows of an array that has rows.
fn rows<T: Element>(of: &Array<T>, which: &[u32]) -> Array<T> {
    let mut dims = of.shape().to_vec();
    let size: usize = dims[1..].iter().product();
    dims[0] = which.len();
    let mut data = Vec::with_capacity(which.len() * size);
    for &i in which {
        data.extend_from_slice(&of.as_slice()[i as usize * size..][..size]);
    }
    Array::from_vec(data, dims).unwrap_or_else(Array::invalid)
}
