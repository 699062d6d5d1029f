//! Attention and its gradient by plain loops over (sequence, head, query, key).

use retrograde_storage::Shape;

/// One operand: its shape and elements.
type Operand<'a> = (Shape, &'a [f64]);

/// The last three extents, and the product of those before.
fn extents(x: Operand<'_>) -> [usize; 4] {
    let (lead, last) = x.0.dims().split_at(x.0.rank() - 3);
    [lead.iter().product(), last[0], last[1], last[2]]
}

/// Elements of an attention's result, or with `backward` those of its gradients. Operands are queries, keys, values, then
/// the result's gradient if `backward`, then the mask if there is one, of bools if `keep`.
pub(super) fn evaluate(
    operands: &[Operand<'_>],
    backward: bool,
    keep: bool,
    (causal, scaled): (bool, bool),
    shape: Shape,
) -> Vec<f64> {
    let [sequences, queries, heads, d] = extents(operands[0]);
    let [_, keys, _, dv] = extents(operands[2]);
    let first = if backward { 4 } else { 3 };
    let mask = operands.get(first);
    let scale = if scaled && d > 0 {
        1.0 / (d as f64).sqrt()
    } else {
        1.0
    };
    // Where the features of a time and head start.
    let at = |x: usize, s: usize, t: usize, h: usize| {
        let [_, times, heads, features] = extents(operands[x]);
        ((s * times + t) * heads + h) * features
    };
    let row = |x: usize, s: usize, t: usize, h: usize| {
        let features = extents(operands[x])[3];
        &operands[x].1[at(x, s, t, h)..][..features]
    };
    let dot = |x: &[f64], y: &[f64]| -> f64 { x.iter().zip(y).map(|(x, y)| x * y).sum() };

    let mut result = vec![0.0; sequences * queries * heads * dv];
    let mut gradients = [0, 1, 2].map(|x| vec![0.0; operands[x].1.len()]);
    for (s, h, i) in (0..sequences)
        .flat_map(|s| (0..heads).flat_map(move |h| (0..queries).map(move |i| (s, h, i))))
    {
        let pair = |j: usize| ((s * heads + h) * queries + i) * keys + j;
        let bias = |j: usize| match mask {
            None => 0.0,
            Some(m) if keep && m.1[pair(j)] == 0.0 => f64::NEG_INFINITY,
            Some(_) if keep => 0.0,
            Some(m) => m.1[pair(j)],
        };
        let sees = |j: &usize| (!causal || *j <= i) && bias(*j) != f64::NEG_INFINITY;
        let seen: Vec<usize> = (0..keys).filter(sees).collect();
        let scores: Vec<f64> = seen
            .iter()
            .map(|&j| scale * dot(row(0, s, i, h), row(1, s, j, h)) + bias(j))
            .collect();
        let weights: Vec<f64> = scores
            .iter()
            .map(|&x| super::softmax(x, &scores, false))
            .collect();
        if !backward {
            let to = ((s * queries + i) * heads + h) * dv;
            for (&j, w) in seen.iter().zip(&weights) {
                let each = result[to..to + dv].iter_mut().zip(row(2, s, j, h));
                each.for_each(|(to, v)| *to += w * v);
            }
            continue;
        }
        let g = row(3, s, i, h);
        let inner: Vec<f64> = seen.iter().map(|&j| dot(g, row(2, s, j, h))).collect();
        let mean = dot(&inner, &weights);
        for ((&j, w), inner) in seen.iter().zip(&weights).zip(&inner) {
            let score = scale * w * (inner - mean);
            for c in 0..d {
                gradients[0][at(0, s, i, h) + c] += score * row(1, s, j, h)[c];
                gradients[1][at(1, s, j, h) + c] += score * row(0, s, i, h)[c];
            }
            for c in 0..dv {
                gradients[2][at(2, s, j, h) + c] += w * g[c];
            }
        }
    }
    if !backward {
        return result;
    }
    if shape.rank() == 1 {
        return gradients.concat();
    }
    // Side by side for each time.
    // Of no batch there are no elements, and no heads to cut them by.
    let times = gradients.each_ref().map(|x| x.chunks((heads * d).max(1)));
    let [q, k, v] = times;
    let each = q.zip(k).zip(v);
    each.flat_map(|((q, k), v)| [q, k, v].concat()).collect()
}
