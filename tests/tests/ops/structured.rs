//! Derivatives of reductions, rows, products and losses.

use retrograde::prelude::*;
use retrograde_tests::derivatives::{Function, check_derivatives, run, samples};

#[test]
fn reductions_rows_products_losses() -> Result<()> {
    let one: [(&str, Function); 24] = [
        ("sum", |x| x.sum()),
        ("sum over 0", |x| x.sum_over(0)),
        ("sum over -1", |x| x.sum_over(keep(-1))),
        ("mean", |x| x.mean_over([0, 1])),
        ("prod", |x| x.prod_over(1)),
        ("prod of all", |x| x.prod()),
        ("max", |x| x.max_over(0)),
        ("min", |x| x.min_over(keep(1))),
        ("var", |x| x.var_over(1, 1)),
        ("std", |x| x.std(0)),
        ("norm", |x| x.norm_over(0)),
        ("norm 3", |x| x.norm_p(3.0)),
        ("norm inf", |x| x.norm_p(f64::INFINITY)),
        ("logsumexp", |x| x.logsumexp_over(0)),
        ("softmax 0", |x| x.softmax(0)),
        ("softmax 1", |x| x.softmax(1)),
        ("log_softmax", |x| x.log_softmax(-1)),
        ("rms_norm", |x| x.rms_norm(x.at(0, 0), 1e-5)),
        ("layer_norm", |x| x.layer_norm(x.at(0, 1), x.at(0, 2), 1e-5)),
        ("matmul with itself", |x| x.matmul(x.t())),
        ("vector by matrix", |x| x.at(0, 1).matmul(x.t())),
        ("outer", |x| x.at(0, 1).outer(x.at(1, 2))),
        ("bce", |x| x.bce_with_logits(x.rec().full([4, 5], 0.3))),
        ("mse", |x| x.mse(x.flip(0))),
    ];
    for (name, op) in one {
        let x = samples(&[4, 5], (-1.5, 1.6));
        let p = Program::try_record(&[x.clone()], |_, [x]| {
            Ok((op(x).sin() * 0.7 + op(x)).sum().into())
        })?;
        check_derivatives(name, &p, &[&x])?;
    }
    Ok(())
}

#[test]
fn products_against_loops() -> Result<()> {
    for (m, k, n) in [
        (1, 1, 1),
        (3, 4, 5),
        (17, 9, 33),
        (2, 0, 3),
        (0, 2, 3),
        (64, 70, 65),
    ] {
        let (x, y) = (samples(&[m, k], (-1.0, 1.0)), samples(&[k, n], (-1.0, 1.0)));
        let inputs = [x.clone(), y.clone()];
        let p = Program::try_record(&inputs, |_, [x, y]| Ok(x.matmul(y).into()))?;
        let expected = Array::from_shape_fn([m, n], |i| {
            (0..k).map(|l| x[[i[0], l]] * y[[l, i[1]]]).sum()
        });
        run(&p, &[&x, &y])?[0].assert_close(&expected, 1e-13, 1e-13);
        let p = Program::try_record(&inputs, |_, [x, y]| Ok(x.matmul(y).sin().sum().into()))?;
        if m * k * n < 1000 {
            check_derivatives("matmul", &p, &[&x, &y])?;
        }
    }
    Ok(())
}
