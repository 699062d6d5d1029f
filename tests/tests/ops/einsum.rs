//! Sums of products against one loop over all indices; formulas that say nothing.

use std::collections::BTreeMap;

use retrograde::prelude::*;
use retrograde_tests::derivatives::samples;

/// The sum over every index that is not in the result, by counting through all of them. Letters alone.
fn oracle(formula: &str, operands: &[Array<f64>]) -> Array<f64> {
    let (left, result) = formula.split_once("->").expect("explicit");
    let names: Vec<Vec<char>> = left.split(',').map(|part| part.chars().collect()).collect();
    let result: Vec<char> = result.chars().collect();
    let mut extents = BTreeMap::new();
    for (names, x) in names.iter().zip(operands) {
        for (&name, &d) in names.iter().zip(x.shape()) {
            let e = extents.entry(name).or_insert(1);
            *e = if d == 1 { *e } else { d };
        }
    }
    let order: Vec<char> = extents.keys().copied().collect();
    let shape: Vec<usize> = result.iter().map(|c| extents[c]).collect();
    let mut out = Array::<f64>::zeros(shape.clone());
    let total: usize = extents.values().product();
    for mut number in 0..total {
        let mut at = BTreeMap::new();
        for name in order.iter().rev() {
            at.insert(*name, number % extents[name]);
            number /= extents[name];
        }
        let mut term = 1.0;
        for (names, x) in names.iter().zip(operands) {
            let index: Vec<usize> = names
                .iter()
                .zip(x.shape())
                .map(|(c, &d)| if d == 1 { 0 } else { at[c] })
                .collect();
            term *= x.get(&index).expect("inside");
        }
        let flat = result
            .iter()
            .zip(&shape)
            .fold(0, |flat, (c, &d)| flat * d + at[c]);
        out.as_mut_slice()[flat] += term;
    }
    out
}

#[test]
fn against_a_loop_over_all_indices() -> Result<()> {
    let table: [(&str, &[&[usize]]); 27] = [
        ("ij,jk->ik", &[&[3, 4], &[4, 5]]),
        ("ij,jk->ki", &[&[3, 4], &[4, 5]]),
        ("ji,jk->ik", &[&[4, 3], &[4, 5]]),
        ("bij,bjk->bik", &[&[2, 3, 4], &[2, 4, 5]]),
        ("ibj,kjb->bki", &[&[3, 2, 4], &[5, 4, 2]]),
        ("ij,ij->ij", &[&[3, 4], &[3, 4]]),
        ("ij,ij->", &[&[3, 4], &[3, 4]]),
        ("ij,ji->", &[&[3, 4], &[4, 3]]),
        ("ij,i->j", &[&[3, 4], &[3]]),
        ("ij->ji", &[&[3, 4]]),
        ("ij->j", &[&[3, 4]]),
        ("ij->", &[&[3, 4]]),
        ("ii->i", &[&[4, 4]]),
        ("ii->", &[&[4, 4]]),
        ("iii->i", &[&[3, 3, 3]]),
        ("ijij->ij", &[&[2, 3, 2, 3]]),
        ("iij,ij->j", &[&[3, 3, 2], &[3, 2]]),
        ("i,j,k->kij", &[&[2], &[3], &[4]]),
        ("i,ij,j->", &[&[3], &[3, 4], &[4]]),
        ("ab,bc,cd,de->ae", &[&[2, 3], &[3, 2], &[2, 4], &[4, 3]]),
        ("abc,cd,b->ad", &[&[2, 3, 4], &[4, 5], &[3]]),
        ("bn,anm,bm->ba", &[&[2, 3], &[5, 3, 4], &[2, 4]]),
        ("ij,kl->ijkl", &[&[2, 3], &[4, 2]]),
        ("ij,jk->ik", &[&[3, 1], &[4, 5]]),
        ("ij,jk->ik", &[&[3, 0], &[0, 5]]),
        ("ij,jk->ik", &[&[0, 4], &[4, 5]]),
        ("abcdefg,gh->abcdefh", &[&[1, 2, 1, 2, 1, 2, 3], &[3, 2]]),
    ];
    for (formula, shapes) in table {
        let shapes = shapes.iter().enumerate();
        let arrays: Vec<Array<f64>> = shapes
            .map(|(i, s)| samples(s, (-1.0, 1.0 + i as f64)))
            .collect();
        let tape = Tape::new();
        let operands: Vec<_> = arrays.iter().map(|x| tape.constant(x.clone())).collect();
        let found = tape.rec().einsum(formula, &operands).value()?;
        let close = found.check_close(&oracle(formula, &arrays), 1e-13, 1e-13);
        assert!(close.is_ok(), "{formula}: {close:?}");
        // Spaces count for nothing, and operands may be views.
        let spaced: String = formula.chars().flat_map(|c| [c, ' ']).collect();
        let spaced = spaced.replace("- >", "->");
        let turned: Vec<_> = operands
            .iter()
            .zip(&arrays)
            .map(|(v, x)| {
                let axes: Vec<isize> = (0..x.shape().len() as isize).rev().collect();
                let stored = tape.constant(v.permute(&axes).value()?);
                Ok(stored.permute(&axes))
            })
            .collect::<Result<_>>()?;
        let again = tape.rec().einsum(&spaced, &turned).value()?;
        again.assert_close(&found, 1e-14, 1e-14);
    }
    Ok(())
}

/// Without a result the indices that occur once are it, in alphabetical order; `...` are the axes without a name.
#[test]
fn implicit_results_and_ellipses() -> Result<()> {
    let tape = Tape::new();
    let rec = tape.rec();
    let of = |s: &[usize]| tape.constant(samples(s, (-1.0, 1.0)));
    let (a, b) = (of(&[3, 4]), of(&[5, 4]));
    let same = |formula, x: &[Var<'_, f64>], expected: Var<'_, f64>| -> Result<()> {
        let found = rec.einsum(formula, x).value()?;
        found.assert_close(&expected.value()?, 1e-14, 1e-14);
        Ok(())
    };
    same("ij,kj", &[a, b], a.matmul(b.t()))?;
    same("ba", &[a], a.t())?;
    same("ii", &[of(&[3, 3])], of(&[3, 3]).trace())?;
    let (many, few) = (of(&[2, 1, 3, 4]), of(&[5, 4, 2]));
    same("...ij,...jk", &[many, few], many.matmul(few))?;
    same("...ij,...jk->...ki", &[many, few], many.matmul(few).t())?;
    same("i...->...i", &[many], many.permute([1, 2, 3, 0]))?;
    same("...,...", &[many, a], many * a)?;
    same("...ij->ij", &[many], many.sum_over([0, 1]))?;
    same("", &[of(&[])], of(&[]))?;
    Ok(())
}

#[test]
fn formulas_that_do_not_fit() {
    let tape = Tape::new();
    let of = |s: &[usize]| tape.constant(samples(s, (-1.0, 1.0)));
    let (a, b) = (of(&[3, 4]), of(&[5, 2]));
    let table: [(&str, &[Var<'_, f64>], &str); 13] = [
        ("ij,jk->ik", &[a], "2 operands are named, but 1 are given"),
        ("ij->ij", &[a, b], "1 operands are named, but 2 are given"),
        (
            "ijk->ij",
            &[a],
            "`ijk` names 3 axes, but the operand [3, 4] has 2",
        ),
        (
            "i->i",
            &[a],
            "`i` names 1 axes, but the operand [3, 4] has 2",
        ),
        (
            "i...jk->i",
            &[a],
            "`i...jk` names 3 axes beside `...`, but the operand [3, 4] has 2",
        ),
        ("ij->ijk", &[a], "`k` is an index of no operand"),
        ("ij->ii", &[a], "`i` is twice in the result"),
        ("i1->i", &[a], "'1' is not an index"),
        ("ij>i", &[a], "'>' is not an index"),
        ("......->", &[a], "two ellipses"),
        ("ii->i", &[a], "`i` has extents 3 and 4 in one operand"),
        (
            "ij,jk->ik",
            &[a, b],
            "`j` has extent 4 in one operand and 5 in another",
        ),
        ("", &[], "there is nothing to multiply"),
    ];
    for (formula, operands, expected) in table {
        let line = line!() + 1;
        let error = tape.rec().einsum(formula, operands).value().unwrap_err();
        let text = error.to_string();
        assert!(
            text.starts_with("einsum") && text.contains(expected),
            "{formula}: {text}"
        );
        assert!(text.contains(&format!("{}:{line}:", file!())), "{text}");
    }
}
