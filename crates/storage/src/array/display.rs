//! Printing, as `NumPy` prints (its `arrayprint.py` is the description): columns aligned, at most 8 digits after the
//! point unless a precision is given (`{:.3}`), exponents where magnitudes are far apart, lines of 75 characters,
//! and no more than 3 items at each edge of an axis beyond 1000 elements. Truth values print as Rust's, and
//! where two shortest decimals are equally close to a float, Rust may choose the other.

use std::fmt::{self, LowerExp};

use super::{Array, ArrayRef};
use crate::{DType, Element, Real, Shape};

const LINE_WIDTH: usize = 75;
const SUMMARY_THRESHOLD: usize = 1000;
const EDGE_ITEMS: usize = 3;
const PRECISION: usize = 8;

/// Precision of `Debug`: more digits than any float needs to be told from its neighbours.
const ALL_DIGITS: usize = 1100;

impl<T: Element> fmt::Display for ArrayRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.error() {
            Some(error) => write!(f, "invalid array: {error}"),
            None => f.write_str(&text(*self, f.precision())),
        }
    }
}

/// Element type and shape, then the elements with all their digits.
impl<T: Element> fmt::Debug for ArrayRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.error() {
            return write!(f, "invalid array of {}: {error}", T::DTYPE);
        }
        let gap = if self.rank() > 1 { '\n' } else { ' ' };
        let text = text(*self, f.precision().or(Some(ALL_DIGITS)));
        write!(f, "Array<{}>{}{gap}{text}", T::DTYPE, self.shape_of())
    }
}

impl<T: Element> fmt::Display for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

impl<T: Element> fmt::Debug for Array<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.view(), f)
    }
}

fn text<T: Element>(array: ArrayRef<'_, T>, precision: Option<usize>) -> String {
    if array.is_empty() {
        return "[]".into();
    }
    let layout = Layout {
        shape: array.shape_of(),
        summary: array.len() > SUMMARY_THRESHOLD,
    };
    let mut shown = Vec::new();
    layout.visit(0, 0, &mut |position| {
        shown.push(array.as_slice()[position]);
    });
    let words = match T::DTYPE {
        DType::F32 => float_words::<f32>(same_type(&shown), array.rank(), precision),
        DType::F64 => float_words::<f64>(same_type(&shown), array.rank(), precision),
        DType::U32 | DType::I64 | DType::Bool => aligned(shown.iter().map(T::to_string)),
    };
    let mut out = String::new();
    layout.write(&mut out, &mut words.iter(), 0);
    out
}

/// A slice whose element type the dtype has told to be `U`.
fn same_type<T: Element, U: Element>(slice: &[T]) -> &[U] {
    debug_assert_eq!(T::DTYPE, U::DTYPE);
    bytemuck::checked::try_cast_slice(slice).unwrap_or_default()
}

/// Which elements are shown, and where on the page.
struct Layout {
    shape: Shape,
    summary: bool,
}

impl Layout {
    /// Indices shown along `axis`; `None` stands for those left out.
    fn shown(&self, axis: usize) -> impl Iterator<Item = Option<usize>> + use<> {
        let len = self.shape.dims()[axis];
        let cut = self.summary && len > 2 * EDGE_ITEMS;
        let (lead, tail) = if cut {
            (EDGE_ITEMS, len - EDGE_ITEMS)
        } else {
            (len, len)
        };
        let gap = cut.then_some(None);
        (0..lead).map(Some).chain(gap).chain((tail..len).map(Some))
    }

    /// Calls `f` with the position of every element shown, in order. As deep as the rank.
    fn visit(&self, axis: usize, position: usize, f: &mut impl FnMut(usize)) {
        if axis == self.shape.rank() {
            return f(position);
        }
        for i in self.shown(axis).flatten() {
            self.visit(axis + 1, position * self.shape.dims()[axis] + i, f);
        }
    }

    /// Writes the words, one an element shown, in brackets and lines. As deep as the rank.
    fn write<'w>(
        &self,
        out: &mut String,
        words: &mut impl Iterator<Item = &'w String>,
        axis: usize,
    ) {
        let axes_left = self.shape.rank() - axis;
        if axes_left == 0 {
            out.extend(words.next().map(String::as_str));
            return;
        }
        // One column for each bracket opened, this one included; as many must fit after the last word.
        let indent = axis + 1;
        let width = LINE_WIDTH - indent;
        out.push('[');
        let mut column = indent;
        for (i, shown) in self.shown(axis).enumerate() {
            if axes_left > 1 {
                if i > 0 {
                    out.extend(std::iter::repeat_n('\n', axes_left - 1));
                    out.extend(std::iter::repeat_n(' ', indent));
                }
                match shown {
                    Some(_) => self.write(out, words, axis + 1),
                    None => out.push_str("..."),
                }
                continue;
            }
            let word = match shown {
                Some(_) => words.next().map_or("", String::as_str),
                None => "...",
            };
            if i > 0 {
                if column + 1 + word.len() > width {
                    out.truncate(out.trim_end().len());
                    out.push('\n');
                    out.extend(std::iter::repeat_n(' ', indent));
                    column = indent;
                } else {
                    out.push(' ');
                    column += 1;
                }
            }
            out.push_str(word);
            column += word.len();
        }
        out.push(']');
    }
}

/// The words right-aligned.
fn aligned(words: impl Iterator<Item = String>) -> Vec<String> {
    let words: Vec<String> = words.collect();
    let width = words.iter().map(String::len).max().unwrap_or(0);
    words.iter().map(|word| format!("{word:>width$}")).collect()
}

fn float_words<T: Real + LowerExp>(xs: &[T], rank: usize, precision: Option<usize>) -> Vec<String> {
    if rank == 0 {
        let precision = precision.unwrap_or(ALL_DIGITS);
        return xs.iter().map(|&x| scalar_word(x, precision)).collect();
    }
    let precision = precision.unwrap_or(PRECISION);
    let finite = || xs.iter().copied().filter(|x| x.is_finite());
    if finite().next().is_none() {
        return aligned(xs.iter().map(|&x| special(x)));
    }
    let exponents = needs_exponents(finite());
    let shortest = |x: T| {
        if exponents {
            Decimal::scientific(x, precision)
        } else {
            Decimal::positional(x, precision)
        }
    };
    let (mut left, mut right, mut exponent_digits) = (0, 0, 2);
    for x in finite() {
        let parts = shortest(x);
        left = left.max(parts.integer.len());
        right = right.max(parts.fraction.len());
        exponent_digits = exponent_digits.max(parts.exponent_digits());
    }
    let words = xs.iter().map(|&x| {
        if !x.is_finite() {
            return special(x);
        }
        let parts = shortest(x);
        if !exponents {
            return format!("{:>left$}.{:<right$}", parts.integer, parts.fraction);
        }
        // Mantissas are filled up with digits of the number's exact value, which are not always zeros.
        let exact = format!("{x:.right$e}");
        let (mantissa, exponent) = split_at(&exact, 'e');
        let point = if right == 0 { "." } else { "" };
        let mut word = format!("{mantissa}{point}");
        write_exponent(&mut word, exponent, exponent_digits);
        word
    });
    aligned(words)
}

/// `NumPy`'s rule: a magnitude of 10^6 (`f32`) or 10^8 (`f64`), one below 10^-4, or a ratio beyond 1000.
fn needs_exponents<T: Real>(finite: impl Iterator<Item = T>) -> bool {
    let (mut least, mut most) = (T::INFINITY, T::default());
    for x in finite.map(T::abs).filter(|&x| x != T::default()) {
        if x < least {
            least = x;
        }
        if x > most {
            most = x;
        }
    }
    let large = if T::DTYPE == DType::F32 { 1e6 } else { 1e8 };
    most >= T::from_f64(large) || least < T::from_f64(1e-4) || most / least > T::from_f64(1e3)
}

/// Infinite or not a number.
fn special<T: Real>(x: T) -> String {
    x.to_string().replace("NaN", "nan")
}

/// A number by itself, as Python prints it.
fn scalar_word<T: Real + LowerExp>(x: T, precision: usize) -> String {
    if !x.is_finite() {
        return special(x);
    }
    let magnitude = x.to_f64().abs();
    let large = if T::DTYPE == DType::F32 { 1e6 } else { 1e16 };
    if x == T::default() || (1e-4..large).contains(&magnitude) {
        let parts = Decimal::positional(x, precision);
        let zero = if parts.fraction.is_empty() { "0" } else { "" };
        format!("{}.{}{zero}", parts.integer, parts.fraction)
    } else {
        let parts = Decimal::scientific(x, precision);
        let point = if parts.fraction.is_empty() { "" } else { "." };
        let mut word = format!("{}{point}{}", parts.integer, parts.fraction);
        write_exponent(&mut word, &parts.exponent, 2);
        word
    }
}

/// A decimal number in parts.
struct Decimal {
    /// With its sign.
    integer: String,
    /// Without trailing zeros.
    fraction: String,
    /// As Rust writes it: no plus sign, no leading zero. Empty where there is none.
    exponent: String,
}

impl Decimal {
    /// The shortest digits that mean `x` and no other float, but no more than `precision` after the point.
    fn positional<T: Real>(x: T, precision: usize) -> Self {
        let shortest = x.to_string();
        let (integer, fraction) = split_at(&shortest, '.');
        if fraction.len() <= precision {
            return Self::new(integer, fraction, "");
        }
        let rounded = format!("{x:.precision$}");
        let (integer, fraction) = split_at(&rounded, '.');
        Self::new(integer, fraction, "")
    }

    /// As [`positional`](Self::positional), with one digit before the point.
    fn scientific<T: Real + LowerExp>(x: T, precision: usize) -> Self {
        let shortest = format!("{x:e}");
        let (mantissa, exponent) = split_at(&shortest, 'e');
        let (integer, fraction) = split_at(mantissa, '.');
        if fraction.len() <= precision {
            return Self::new(integer, fraction, exponent);
        }
        let rounded = format!("{x:.precision$e}");
        let (mantissa, exponent) = split_at(&rounded, 'e');
        let (integer, fraction) = split_at(mantissa, '.');
        Self::new(integer, fraction, exponent)
    }

    fn new(integer: &str, fraction: &str, exponent: &str) -> Self {
        Self {
            integer: integer.into(),
            fraction: fraction.trim_end_matches('0').into(),
            exponent: exponent.into(),
        }
    }

    /// Digits of the exponent, without its sign.
    fn exponent_digits(&self) -> usize {
        self.exponent.trim_start_matches('-').len()
    }
}

/// Appends an exponent, given as Rust writes it, with its sign and at least `digits` digits.
fn write_exponent(word: &mut String, exponent: &str, digits: usize) {
    let magnitude = exponent.trim_start_matches('-');
    let sign = if magnitude == exponent { '+' } else { '-' };
    word.extend(['e', sign]);
    word.extend(std::iter::repeat_n(
        '0',
        digits.saturating_sub(magnitude.len()),
    ));
    word.push_str(magnitude);
}

/// What stands before and after `separator`.
fn split_at(text: &str, separator: char) -> (&str, &str) {
    text.split_once(separator).unwrap_or((text, ""))
}
