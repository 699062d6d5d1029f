//! Sets of input elements: sorted runs of neighbours, each set stored once.
//!
//! What an instruction's elements depend on is mostly what their operands' elements depend on, so sets are numbered and
//! shared: an elementwise chain copies numbers, and a dense layer has one set however wide it is. Runs make what is dense
//! or banded as small as what is diagonal.

use std::hash::{Hash, Hasher};

use retrograde_storage::{Id, entity_id};
use rustc_hash::{FxHashMap, FxHasher};

entity_id!(
    /// A set of input elements.
    Set, "d"
);

/// The elements `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Run {
    pub start: u32,
    pub end: u32,
}

/// Unions remembered before all are forgotten: what is forgotten is made again and found to be known.
const MOST_UNIONS: usize = 1 << 20;

/// All sets of one analysis. Sets are equal if and only if their numbers are, but for collisions of hashes, which cost
/// memory and nothing else.
#[derive(Debug)]
pub(crate) struct Sets {
    /// Where the runs of each set end; they start where those of the set before end.
    ends: Vec<usize>,
    runs: Vec<Run>,
    by_hash: FxHashMap<u64, Set>,
    unions: FxHashMap<(Set, Set), Set>,
    /// Sets and runs that may be stored.
    limit: usize,
    full: bool,
    merged: Vec<Run>,
    members: Vec<Set>,
}

impl Sets {
    /// No elements.
    pub(crate) fn empty() -> Set {
        Set::from_index(0)
    }

    /// Only the empty set so far; `limit` bounds sets and runs together.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            ends: vec![0],
            runs: Vec::new(),
            by_hash: FxHashMap::default(),
            unions: FxHashMap::default(),
            limit,
            full: false,
            merged: Vec::new(),
            members: Vec::new(),
        }
    }

    /// Whether a set did not fit: then sets made since are not what they should be.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// The runs of a set, in order, none touching the next.
    pub(crate) fn runs(&self, set: Set) -> &[Run] {
        let start = match set.index() {
            0 => 0,
            i => self.ends[i - 1],
        };
        &self.runs[start..self.ends[set.index()]]
    }

    /// The number of elements.
    pub(crate) fn len(&self, set: Set) -> usize {
        let runs = self.runs(set).iter();
        runs.map(|r| (r.end - r.start) as usize).sum()
    }

    /// The set of one element.
    pub(crate) fn single(&mut self, element: u32) -> Set {
        self.merged.clear();
        self.merged.push(Run {
            start: element,
            end: element + 1,
        });
        self.stored()
    }

    /// What is in either.
    pub(crate) fn union(&mut self, a: Set, b: Set) -> Set {
        if a == b || b == Self::empty() {
            return a;
        }
        if a == Self::empty() {
            return b;
        }
        let key = (a.min(b), a.max(b));
        if let Some(&known) = self.unions.get(&key) {
            return known;
        }
        self.merged.clear();
        let mut merged = std::mem::take(&mut self.merged);
        let (mut x, mut y) = (self.runs(a), self.runs(b));
        loop {
            let from = match (x.first(), y.first()) {
                (None, None) => break,
                (Some(p), Some(q)) if p.start <= q.start => &mut x,
                (Some(_), None) => &mut x,
                (_, Some(_)) => &mut y,
            };
            push(&mut merged, from[0]);
            *from = &from[1..];
        }
        self.merged = merged;
        let union = self.stored();
        if self.unions.len() >= MOST_UNIONS {
            self.unions.clear();
        }
        self.unions.insert(key, union);
        union
    }

    /// What is in any of `sets`.
    pub(crate) fn union_of(&mut self, sets: impl IntoIterator<Item = Set>) -> Set {
        let mut members = std::mem::take(&mut self.members);
        members.clear();
        let mut last = Self::empty();
        for set in sets {
            if set != last && set != Self::empty() {
                members.push(set);
                last = set;
            }
        }
        members.sort_unstable();
        members.dedup();
        let union = match members[..] {
            [] => Self::empty(),
            [one] => one,
            [a, b] => self.union(a, b),
            _ => {
                let mut merged = std::mem::take(&mut self.merged);
                merged.clear();
                for &set in &members {
                    merged.extend_from_slice(self.runs(set));
                }
                merged.sort_unstable();
                let mut kept = 0;
                for i in 0..merged.len() {
                    let run = merged[i];
                    match merged[..kept].last_mut() {
                        Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
                        _ => {
                            merged[kept] = run;
                            kept += 1;
                        }
                    }
                }
                merged.truncate(kept);
                self.merged = merged;
                self.stored()
            }
        };
        self.members = members;
        union
    }

    /// The number of the set in `merged`.
    fn stored(&mut self) -> Set {
        let mut hasher = FxHasher::default();
        self.merged.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.by_hash.get(&hash).copied();
        if let Some(known) = known
            && self.runs(known) == self.merged
        {
            return known;
        }
        if self.ends.len() + self.runs.len() + self.merged.len() > self.limit {
            self.full = true;
            return Self::empty();
        }
        let set = Set::from_index(self.ends.len());
        self.runs.extend_from_slice(&self.merged);
        self.ends.push(self.runs.len());
        if known.is_none() {
            self.by_hash.insert(hash, set);
        }
        set
    }
}

/// Adds a run that starts no earlier than the last.
fn push(runs: &mut Vec<Run>, run: Run) {
    match runs.last_mut() {
        Some(last) if run.start <= last.end => last.end = last.end.max(run.end),
        _ => runs.push(run),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(sets: &Sets, set: Set) -> Vec<u32> {
        let runs = sets.runs(set).iter();
        runs.flat_map(|r| r.start..r.end).collect()
    }

    #[test]
    fn unions_are_shared_and_join_neighbours() {
        let mut sets = Sets::new(1000);
        let singles: Vec<Set> = (0..6).map(|e| sets.single(e)).collect();
        let a = sets.union(singles[0], singles[2]);
        let b = sets.union(singles[1], singles[5]);
        let both = sets.union(a, b);
        assert_eq!(elements(&sets, both), [0, 1, 2, 5]);
        assert_eq!(sets.runs(both).len(), 2);
        assert_eq!(sets.len(both), 4);
        let many = sets.union_of([5, 2, 1, 0, 0].map(|e: usize| singles[e]));
        assert_eq!(many, both, "the same set has the same number");
        assert_eq!(sets.union(both, Sets::empty()), both);
        assert_eq!(sets.union_of([Sets::empty(); 3]), Sets::empty());
        assert_eq!(sets.union(both, a), both);
    }

    #[test]
    fn what_does_not_fit_is_noted() {
        let mut sets = Sets::new(8);
        (0..8).for_each(|e| {
            sets.single(2 * e);
        });
        assert!(sets.is_full());
    }
}
