//! One observation of bundle adjustment.

/// Errors of an observation by its 15 parameters: camera, point, weight.
pub(crate) fn errors(p: &[f64], feature: &[f64]) -> Vec<f64> {
    let (rotation, centre, point) = (&p[..3], &p[3..6], &p[11..14]);
    let x: Vec<f64> = (0..3).map(|i| point[i] - centre[i]).collect();
    let cross = |a: &[f64], b: &[f64], i: usize| {
        a[(i + 1) % 3] * b[(i + 2) % 3] - a[(i + 2) % 3] * b[(i + 1) % 3]
    };
    let angle = rotation.iter().map(|r| r * r).sum::<f64>().sqrt();
    let turned: Vec<f64> = if angle == 0.0 {
        (0..3).map(|i| x[i] + cross(rotation, &x, i)).collect()
    } else {
        let axis: Vec<f64> = rotation.iter().map(|r| r / angle).collect();
        let along = axis.iter().zip(&x).map(|(a, x)| a * x).sum::<f64>();
        let part = |i: usize| {
            x[i] * angle.cos()
                + cross(&axis, &x, i) * angle.sin()
                + axis[i] * along * (1.0 - angle.cos())
        };
        (0..3).map(part).collect()
    };
    let flat = [turned[0] / turned[2], turned[1] / turned[2]];
    let square = flat[0] * flat[0] + flat[1] * flat[1];
    let distortion = 1.0 + p[9] * square + p[10] * square * square;
    let error = |i: usize| p[14] * (flat[i] * distortion * p[6] + p[7 + i] - feature[i]);
    vec![error(0), error(1)]
}
