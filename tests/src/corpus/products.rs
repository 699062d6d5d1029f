//! Products of vectors and matrices, and attention.

use retrograde::prelude::*;

use super::{Case, Given, any, case, signed};

fn set(shapes: &[&[usize]]) -> Vec<Given> {
    shapes.iter().map(|s| any(s)).collect()
}

fn sets(all: &[&[&[usize]]]) -> Vec<Vec<Given>> {
    all.iter().map(|s| set(s)).collect()
}

fn matrices() -> Vec<Vec<Given>> {
    sets(&[
        &[&[3, 4], &[4, 5]],
        &[&[4], &[4, 5]],
        &[&[3, 4], &[4]],
        &[&[4], &[4]],
        &[&[1, 1], &[1, 1]],
        &[&[0, 4], &[4, 5]],
        &[&[3, 0], &[0, 5]],
        &[&[2, 3, 4], &[2, 4, 5]],
        &[&[2, 1, 3, 4], &[5, 4, 2]],
        &[&[3, 4], &[2, 4, 5]],
        &[&[2, 3, 4], &[4, 5]],
        &[&[37, 70], &[70, 41]],
        &[&[2, 0, 3], &[2, 3, 0]],
        &[&[0, 3, 4], &[4, 5]],
        &[&[1, 2, 1, 2, 1, 1, 2, 3], &[2, 1, 1, 1, 2, 1, 3, 2]],
    ])
}

fn plain() -> Vec<Case> {
    vec![
        case!("matmul", matrices(), |x, y| x.matmul(y)),
        case!(
            "matmul with itself",
            sets(&[&[&[3, 4]], &[&[2, 3, 3]]]),
            |x| { [x.matmul(x.t()), x.t().matmul(x)] }
        ),
        case!(
            "dot",
            sets(&[
                &[&[5], &[5]],
                &[&[0], &[0]],
                &[&[], &[]],
                &[&[1030], &[1030]]
            ]),
            |x, y| x.dot(y)
        ),
        case!(
            "outer",
            sets(&[&[&[5], &[3]], &[&[0], &[3]], &[&[1], &[1]]]),
            |x, y| x.outer(y)
        ),
        case!(
            "bmm",
            sets(&[&[&[2, 3, 4], &[2, 4, 5]], &[&[0, 3, 4], &[0, 4, 1]]]),
            |x, y| x.bmm(y)
        ),
        case!(
            "linear",
            sets(&[
                &[&[3, 4], &[5, 4], &[5]],
                &[&[4], &[2, 4], &[2]],
                &[&[2, 3, 4], &[1, 4], &[]]
            ]),
            |x, w, b| [x.linear(w, b), x.linear(w, None)]
        ),
    ]
}

fn einsum() -> Vec<Case> {
    macro_rules! einsum {
        ($formula:literal, $sets:expr, $first:ident $(, $x:ident)*) => {
            case!(concat!("einsum ", $formula), sets($sets), |$first $(, $x)*| {
                $first.rec().einsum($formula, &[$first $(, $x)*])
            })
        };
    }
    vec![
        einsum!(
            "ij,jk->ik",
            &[&[&[3, 4], &[4, 5]], &[&[0, 4], &[4, 5]]],
            a,
            b
        ),
        einsum!("ij,kj", &[&[&[3, 4], &[5, 4]]], a, b),
        einsum!("bij,bkj->bki", &[&[&[2, 3, 4], &[2, 5, 4]]], a, b),
        einsum!("bhqd,bhkd->bhqk", &[&[&[2, 2, 3, 4], &[2, 2, 5, 4]]], a, b),
        einsum!("bqhd,bkhd->bhqk", &[&[&[2, 3, 2, 4], &[2, 5, 2, 4]]], a, b),
        einsum!("ijk->kij", &[&[&[2, 3, 4]]], a),
        einsum!("ij->", &[&[&[3, 4]], &[&[0, 2]]], a),
        einsum!("ii->i", &[&[&[4, 4]]], a),
        einsum!("ii", &[&[&[4, 4]]], a),
        einsum!("bii->b", &[&[&[2, 3, 3]]], a),
        einsum!("iji,j->ji", &[&[&[3, 2, 3], &[2]]], a, b),
        einsum!("i,j->ij", &[&[&[3], &[4]]], a, b),
        einsum!("i,i->", &[&[&[7], &[7]]], a, b),
        einsum!("bi,bi->b", &[&[&[3, 4], &[3, 4]]], a, b),
        einsum!("bi,bi->bi", &[&[&[3, 4], &[1, 4]]], a, b),
        einsum!("i,ij,j->", &[&[&[3], &[3, 4], &[4]]], a, b, c),
        einsum!("bn,anm,bm->ba", &[&[&[2, 3], &[5, 3, 4], &[2, 4]]], a, b, c),
        einsum!(
            "...ij,...jk->...ik",
            &[&[&[2, 3, 4], &[4, 5]], &[&[2, 1, 3, 4], &[5, 4, 2]]],
            a,
            b
        ),
        einsum!("...i->...", &[&[&[2, 3, 4]], &[&[5]]], a),
        einsum!(",ij->ji", &[&[&[], &[3, 4]]], a, b),
        einsum!("abcd,dcbe->ae", &[&[&[2, 3, 2, 4], &[4, 2, 3, 2]]], a, b),
        einsum!(
            "ij,jk,kl,lm->im",
            &[&[&[2, 3], &[3, 4], &[4, 2], &[2, 5]]],
            a,
            b,
            c,
            d
        ),
    ]
}

/// Queries, keys and values.
fn attended() -> Vec<Vec<Given>> {
    sets(&[
        &[&[5, 4], &[6, 4], &[6, 3]],
        &[&[2, 3, 5, 4], &[2, 3, 5, 4], &[2, 3, 5, 4]],
        &[&[2, 1, 3, 2], &[2, 4, 2], &[2, 4, 2]],
        &[&[1, 1], &[1, 1], &[1, 1]],
        &[&[70, 8], &[70, 8], &[70, 8]],
        &[&[0, 3, 4], &[0, 3, 4], &[0, 3, 4]],
        &[&[0, 4], &[3, 4], &[3, 2]],
        &[&[3, 4], &[0, 4], &[0, 2]],
        &[&[3, 0], &[2, 0], &[2, 2]],
        &[&[3, 4], &[2, 4], &[2, 0]],
    ])
}

fn attention() -> Vec<Case> {
    vec![
        case!("attention", attended(), |q, k, v| {
            let of = |how| q.scaled_dot_product_attention(k, v, how);
            [
                of(Attention::full()),
                of(Attention::causal()),
                of(Attention::full().scale(0.7)),
            ]
        }),
        case!(
            "attention, masks",
            sets(&[&[&[5, 4], &[6, 4], &[6, 3], &[5, 6]]]),
            |q, k, v, m| {
                let of = |how| q.scaled_dot_product_attention(k, v, how);
                [
                    of(Attention::full().keep(m.gt(-0.5))),
                    of(Attention::causal().bias(m)),
                ]
            }
        ),
        case!(
            "rope",
            sets(&[&[&[5, 4]], &[&[2, 3, 1, 6]], &[&[0, 2]], &[&[2, 40, 16]]]),
            |x| {
                [
                    x.rope(Rope::default()),
                    x.rope(Rope::default().base(100.0).offset(7).interleaved(true)),
                ]
            }
        ),
        case!(
            "products of gathered rows",
            sets(&[&[&[5, 4], &[4, 3]]]),
            |x, y| { x.index_select(0, signed(x.rec(), &[0, -1, 2, 0])).matmul(y) }
        ),
    ]
}

/// The family.
pub(super) fn cases() -> Vec<Case> {
    let mut all = plain();
    all.extend(einsum());
    all.extend(attention());
    all
}
