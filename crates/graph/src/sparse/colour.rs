//! Colours: columns of one colour share a seed, so that a sparse matrix takes as many products as there are colours.
//!
//! Two columns that have a place in one row may not share a seed, for what comes out is the sum of both (Curtis, Powell
//! and Reid 1974, "On the estimation of sparse Jacobian matrices"). That is a colouring of the columns' intersection
//! graph (Coleman and Moré 1983), found greedily on the pattern itself, fullest columns first. Of a symmetric matrix it
//! is enough to read each pair of places at one of the two: a star colouring. Both as in Gebremedhin, Manne and Pothen
//! 2005, "What color is your Jacobian? Graph coloring for computing derivatives", SIAM Review 47.

use rustc_hash::FxHashMap;

use super::pattern::Pattern;

/// A colour for every column, counted from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Colours {
    pub of: Vec<u32>,
    pub count: usize,
}

/// Steps that a greedy colouring may take; a longer one is given up, and every column has a colour of its own. At some
/// nanosecond a step these are seconds: patterns with so many neighbours have little to gain.
const MOST_STEPS: u64 = 1 << 32;

/// No colour yet.
const NONE: u32 = u32::MAX;

/// Columns in the order of how many places they have, the fullest first.
fn fullest_first(across: &Pattern) -> Vec<u32> {
    let mut order: Vec<u32> = (0..across.rows() as u32).collect();
    order.sort_by_key(|&j| std::cmp::Reverse(across.row(j as usize).len()));
    order
}

/// Colours forbidden to one vertex: those whose entry is that vertex.
struct Forbidden(Vec<u32>);

impl Forbidden {
    fn forbid(&mut self, colour: u32, to: u32) {
        let at = colour as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, NONE);
        }
        self.0[at] = to;
    }
    fn smallest_for(&self, vertex: u32) -> u32 {
        let free = self.0.iter().position(|&of| of != vertex);
        free.unwrap_or(self.0.len()) as u32
    }
}

/// No two columns with a place in one row have the same colour. `across` is the transpose.
pub(crate) fn columns(pattern: &Pattern, across: &Pattern) -> Colours {
    let n = pattern.columns();
    let steps = (0..pattern.rows()).map(|i| (pattern.row(i).len() as u64).pow(2));
    // A full row has all colours, whatever the others are.
    if pattern.widest() == n || steps.sum::<u64>() > MOST_STEPS {
        return Colours {
            of: (0..n as u32).collect(),
            count: n,
        };
    }
    let (mut of, mut forbidden) = (vec![NONE; n], Forbidden(Vec::new()));
    for j in fullest_first(across) {
        for &row in across.row(j as usize) {
            for &other in pattern.row(row as usize) {
                if of[other as usize] != NONE {
                    forbidden.forbid(of[other as usize], j);
                }
            }
        }
        of[j as usize] = forbidden.smallest_for(j);
    }
    counted(of)
}

fn counted(of: Vec<u32>) -> Colours {
    let count = of.iter().map(|&c| c as usize + 1).max().unwrap_or(0);
    Colours { of, count }
}

/// Of a symmetric pattern: neighbours differ, and so do some two of any path of four vertices that alternates. Then of
/// every pair of places `(i, j)`, `(j, i)` one is alone in its row with the colour of its column: `i` has no other
/// neighbour of `j`'s colour, or `j` none of `i`'s.
///
/// The greedy algorithm asks, for each neighbour, which colours would close such a path. They are kept up as colours are
/// given, so that all takes time proportional to places times colours, even about a vertex that is everybody's
/// neighbour.
pub(crate) fn star(pattern: &Pattern) -> Colours {
    let n = pattern.rows();
    let (mut of, mut forbidden) = (vec![NONE; n], Forbidden(Vec::new()));
    // By vertex: colours of its neighbours, while it has none itself. None of its neighbours may share one, or they
    // would be the ends of a path whose middle is yet to be coloured.
    let mut around: Vec<Vec<u32>> = vec![Vec::new(); n];
    // By vertex: colours of those neighbours that have a second neighbour of its own colour.
    let mut closed: Vec<Vec<u32>> = vec![Vec::new(); n];
    // By vertex and colour: the first neighbour that has it, and whether there are more.
    let mut first: FxHashMap<(u32, u32), (u32, bool)> = FxHashMap::default();
    for v in fullest_first(pattern) {
        let neighbours = || pattern.row(v as usize).iter().filter(move |&&w| w != v);
        for &w in neighbours() {
            let at = w as usize;
            let others = if of[at] == NONE {
                &around[at]
            } else {
                forbidden.forbid(of[at], v);
                &closed[at]
            };
            others.iter().for_each(|&c| forbidden.forbid(c, v));
        }
        let colour = forbidden.smallest_for(v);
        of[v as usize] = colour;
        for &w in neighbours() {
            let at = w as usize;
            if of[at] == NONE {
                around[at].push(colour);
            }
            // Now `v` is a neighbour of `w` that has this colour.
            match first.get_mut(&(w, colour)) {
                None => {
                    first.insert((w, colour), (v, false));
                }
                Some((other, more)) => {
                    // Two of one colour about `w`, which has its own by then.
                    if !std::mem::replace(more, true) {
                        closed[*other as usize].push(of[at]);
                    }
                    closed[v as usize].push(of[at]);
                }
            }
        }
    }
    counted(of)
}

/// By place of a symmetric pattern: the colour whose product holds it, and the row where.
pub(crate) fn star_sources(pattern: &Pattern, colours: &Colours) -> Vec<(u32, u32)> {
    let mut seen: FxHashMap<(u32, u32), u32> = FxHashMap::default();
    for i in 0..pattern.rows() {
        for &j in pattern.row(i) {
            *seen.entry((i as u32, colours.of[j as usize])).or_default() += 1;
        }
    }
    let mut sources = Vec::with_capacity(pattern.len());
    for i in 0..pattern.rows() as u32 {
        for &j in pattern.row(i as usize) {
            let (own, other) = (colours.of[i as usize], colours.of[j as usize]);
            sources.push(if seen[&(i, other)] == 1 {
                (other, i)
            } else {
                (own, j)
            });
        }
    }
    sources
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Numbers;

    fn is_star(pattern: &Pattern, colours: &Colours) -> bool {
        let colour = |v: u32| colours.of[v as usize];
        let near = |v: u32| {
            let row = pattern.row(v as usize).iter().copied();
            row.filter(move |&w| w != v)
        };
        (0..pattern.rows() as u32).all(|a| {
            near(a).all(|b| {
                colour(a) != colour(b)
                    && near(b)
                        .filter(|&c| c != a && colour(c) == colour(a))
                        .all(|c| near(c).all(|d| d == b || colour(d) != colour(b)))
            })
        })
    }

    fn random_symmetric(numbers: &mut Numbers, n: usize, places: usize) -> Pattern {
        let mut rows = vec![Vec::new(); n];
        for _ in 0..places {
            let (i, j) = (numbers.next() as usize % n, numbers.next() as usize % n);
            rows[i].push(j as u32);
            rows[j].push(i as u32);
        }
        rows.iter_mut().for_each(|r| {
            r.sort_unstable();
            r.dedup();
        });
        Pattern::of_rows(n, rows)
    }

    #[test]
    fn colours_of_random_patterns_are_valid_and_read_every_place() {
        let mut numbers = Numbers(5);
        for round in 0..200 {
            let n = 1 + numbers.next() as usize % 30;
            let places = numbers.next() as usize % (3 * n);
            let pattern = random_symmetric(&mut numbers, n, places);
            let colours = columns(&pattern, &pattern.transposed());
            for i in 0..n {
                let mut row: Vec<u32> = pattern
                    .row(i)
                    .iter()
                    .map(|&j| colours.of[j as usize])
                    .collect();
                row.sort_unstable();
                row.dedup();
                assert_eq!(row.len(), pattern.row(i).len(), "round {round}, row {i}");
            }
            let colours = star(&pattern);
            assert!(
                is_star(&pattern, &colours),
                "round {round}: {pattern:?} {colours:?}"
            );
            // A number for every pair of places, and what products with the seeds come to.
            let value = |i: u32, j: u32| f64::from(i.min(j) * 100 + i.max(j) + 1);
            let sources = star_sources(&pattern, &colours);
            let product = |colour: u32, i: u32| -> f64 {
                let row = pattern.row(i as usize).iter();
                row.filter(|&&k| colours.of[k as usize] == colour)
                    .map(|&k| value(i, k))
                    .sum()
            };
            let mut sources = sources.iter();
            for i in 0..n as u32 {
                for &j in pattern.row(i as usize) {
                    let &(colour, at) = sources.next().unwrap();
                    assert_eq!(
                        product(colour, at),
                        value(i, j),
                        "round {round}, ({i}, {j})"
                    );
                }
            }
        }
    }

    #[test]
    fn arrows_bands_and_diagonals_take_few_colours() {
        let n = 500;
        let arrow = |i: u32| if i == 0 { (0..n).collect() } else { vec![0, i] };
        assert_eq!(
            star(&Pattern::of_rows(n as usize, (0..n).map(arrow))).count,
            2
        );
        let band = |i: u32| (i.saturating_sub(1)..(i + 2).min(n)).collect::<Vec<_>>();
        let band = Pattern::of_rows(n as usize, (0..n).map(band));
        assert_eq!(star(&band).count, 3);
        assert_eq!(columns(&band, &band.transposed()).count, 3);
        let diagonal = Pattern::of_rows(n as usize, (0..n).map(|i| [i]));
        assert_eq!(
            (star(&diagonal).count, columns(&diagonal, &diagonal).count),
            (1, 1)
        );
        let nothing = Pattern::of_rows(4, [[0_u32; 0]; 4]);
        assert_eq!(columns(&nothing, &nothing).count, 1);
    }
}
