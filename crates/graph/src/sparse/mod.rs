//! Sparsity: which elements of an output depend on which of an input, and how few products the Jacobian takes.
//!
//! [`dependencies`] goes over the list once ([`flow`]) and carries a set of input elements ([`sets`]) for each element
//! of each value; [`through`], [`indexed`] and [`images`] know the operations, [`known`] the integers that a program
//! computes from literals. [`colour`] groups columns that share a seed. [`Program::pattern`](crate::Program::pattern) and
//! the calls beside it are in [`program::sparse`](crate::program).
//!
//! Time is proportional to the elements of all values between input and output (of a convolution, a product of its
//! extents; of a loop, times its steps) plus the sets' sizes; memory is four bytes an element of values that are still to
//! be read and eight a run of neighbours in each different set. What would take more than [`MOST_SETS`] of those is
//! refused.

pub(crate) mod colour;
mod flow;
mod images;
mod indexed;
pub(crate) mod known;
pub(crate) mod matrix;
pub(crate) mod pattern;
mod sets;
mod through;
mod walk;

use flow::{Analysis, Deps};
use known::Known;
use pattern::Pattern;
use sets::{Set, Sets};

use crate::error::{Error, ErrorKind, Result};
use crate::list::{List, Value};

/// Different sets, and runs of neighbours in them, that an analysis stores: some 200 MB.
pub(crate) const MOST_SETS: usize = 1 << 24;

/// Places of a pattern: four bytes each, and the matrix's elements beside them.
pub(crate) const MOST_PLACES: usize = 1 << 28;

/// The pattern of the Jacobian of `y` with respect to `x`. `known` gives the elements of inputs that are integers or
/// masks, where they are to be taken as they are.
pub(crate) fn dependencies(
    list: &List,
    y: Value,
    x: Value,
    limit: usize,
    known: impl Fn(Value) -> Known,
) -> Result<Pattern> {
    let (rows, columns) = (list.shape(y).len(), list.shape(x).len());
    let too_large = |what: &str, v: Value| {
        let message = format!(
            "the pattern of a Jacobian of {rows} x {columns} elements {what} {v}, {} {}; \
             `vjp` and `jvp` need no pattern",
            list.op(v).name(),
            list.shape(v)
        );
        Error::new(ErrorKind::Memory, message).at(list.location(v))
    };
    if columns > limit {
        return Err(too_large("has too many columns for an analysis at", x));
    }
    let mut sets = Sets::new(limit);
    let singles: Vec<Set> = (0..columns as u32).map(|e| sets.single(e)).collect();
    let start = Deps::of(singles);
    let analysis = Analysis::of(list, &[y]);
    let input = |v: Value| {
        let deps = if v == x { start.clone() } else { Deps::Nothing };
        (deps, known(v))
    };
    let found = flow::flow(list, &analysis, &[y], &mut sets, input)
        .map_err(|v| too_large("takes too many different sets of elements at", v))?;
    let places: usize = (0..rows).map(|i| sets.len(found[0].at(i))).sum();
    if places > MOST_PLACES {
        return Err(too_large("has too many places at", y));
    }
    let row = |i: usize| {
        sets.runs(found[0].at(i))
            .iter()
            .flat_map(|r| r.start..r.end)
    };
    Ok(Pattern::of_rows(columns, (0..rows).map(row)))
}

/// By place of a matrix: which product holds it and where.
#[derive(Clone, Debug)]
pub(crate) struct Sources {
    /// Columns (or rows) that each product's seed adds up.
    pub members: Vec<Vec<u32>>,
    /// By product: element of what comes out, and number of the place it goes to.
    pub takes: Vec<Vec<(u32, usize)>>,
}

impl Sources {
    /// Of seeds that add what has one colour; by place of the pattern, in order: the colour whose product holds it, and
    /// which of that one's elements it is.
    pub(crate) fn new(
        colours: &colour::Colours,
        sources: impl IntoIterator<Item = (u32, u32)>,
    ) -> Self {
        let mut members = vec![Vec::new(); colours.count];
        for (j, &colour) in colours.of.iter().enumerate() {
            members[colour as usize].push(j as u32);
        }
        let mut takes = vec![Vec::new(); colours.count];
        for (place, (colour, at)) in sources.into_iter().enumerate() {
            takes[colour as usize].push((at, place));
        }
        // Products that nothing is read of are not made: of columns without a place.
        let used: Vec<bool> = takes.iter().map(|t: &Vec<_>| !t.is_empty()).collect();
        let mut keep = used.iter();
        members.retain(|_| *keep.next().unwrap_or(&false));
        takes.retain(|t| !t.is_empty());
        Self { members, takes }
    }

    /// The same with other numbers for the places.
    pub(crate) fn placed(mut self, places: &[usize]) -> Self {
        let all = self.takes.iter_mut().flatten();
        all.for_each(|take| take.1 = places[take.1]);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recorder::Recorder;
    use crate::testing::{leaf, rec};

    #[test]
    fn what_takes_too_much_is_an_error_that_names_where() {
        let recorder = Recorder::default();
        let x = leaf::<f64>(rec(&recorder), 0, &[60]);
        let pairs = x.unsqueeze(1) * x.unsqueeze(0);
        let sums = pairs.sum_over(0);
        let list = &recorder.state.borrow().list;
        let found = |limit| dependencies(list, sums.id, x.id, limit, |_| None);
        assert_eq!(found(10_000).unwrap().len(), 3600);
        let error = found(1000).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Memory);
        let message = error.to_string();
        let start = "the pattern of a Jacobian of 60 x 60 elements takes too many different sets of elements at v3, mul [60, 60]";
        assert!(message.starts_with(start), "{message}");
        assert!(message.contains("sparse/mod.rs"), "{message}");
        assert!(
            found(50)
                .unwrap_err()
                .to_string()
                .contains("too many columns")
        );
    }
}
