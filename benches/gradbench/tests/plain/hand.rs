//! A posed hand.

type Matrix = [[f64; 4]; 4];

/// A hand model and what was measured.
pub(crate) struct Skeleton {
    pub(crate) parents: Vec<i64>,
    pub(crate) relatives: Vec<Matrix>,
    pub(crate) inverses: Vec<Matrix>,
    pub(crate) vertices: Vec<[f64; 4]>,
    pub(crate) weights: Vec<Vec<f64>>,
    pub(crate) triangles: Vec<[usize; 3]>,
    pub(crate) correspondences: Vec<usize>,
    pub(crate) points: Vec<[f64; 3]>,
    pub(crate) mirrored: bool,
}

const UNIT: Matrix = [
    [1.0, 0.0, 0.0, 0.0],
    [0.0, 1.0, 0.0, 0.0],
    [0.0, 0.0, 1.0, 0.0],
    [0.0, 0.0, 0.0, 1.0],
];

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let entry = |i: usize, j: usize| (0..4).map(|k| a[i][k] * b[k][j]).sum();
    std::array::from_fn(|i| std::array::from_fn(|j| entry(i, j)))
}

/// A turn about x, then about z.
fn turn(x: f64, z: f64) -> Matrix {
    let (mut about_x, mut about_z) = (UNIT, UNIT);
    (about_x[1][1], about_x[1][2]) = (x.cos(), -x.sin());
    (about_x[2][1], about_x[2][2]) = (x.sin(), x.cos());
    (about_z[0][0], about_z[0][1]) = (z.cos(), -z.sin());
    (about_z[1][0], about_z[1][1]) = (z.sin(), z.cos());
    product(&about_z, &about_x)
}

/// Rodrigues' rotation of a vector.
fn rotate(r: &[f64], v: [f64; 3]) -> [f64; 3] {
    let angle = r.iter().map(|r| r * r).sum::<f64>().sqrt();
    if angle < 1e-4 {
        return v;
    }
    let a: Vec<f64> = r.iter().map(|r| r / angle).collect();
    let along = a[0] * v[0] + a[1] * v[1] + a[2] * v[2];
    std::array::from_fn(|i| {
        let (j, k) = ((i + 1) % 3, (i + 2) % 3);
        v[i] * angle.cos()
            + (a[j] * v[k] - a[k] * v[j]) * angle.sin()
            + a[i] * along * (1.0 - angle.cos())
    })
}

/// Distances of all points for a pose, and positions on triangles (none: correspondences are vertices).
pub(crate) fn errors(hand: &Skeleton, theta: &[f64], us: &[f64]) -> Vec<f64> {
    let mut turns = vec![(0.0, 0.0); hand.parents.len()];
    for finger in 0..5 {
        let angles = &theta[6 + 4 * finger..][..4];
        turns[2 + 4 * finger] = (angles[0], angles[1]);
        turns[3 + 4 * finger].0 = angles[2];
        turns[4 + 4 * finger].0 = angles[3];
    }
    let mut absolute: Vec<Matrix> = Vec::new();
    for (bone, &(x, z)) in turns.iter().enumerate() {
        let own = product(&hand.relatives[bone], &turn(x, z));
        absolute.push(match usize::try_from(hand.parents[bone]) {
            Ok(parent) => product(&absolute[parent], &own),
            Err(_) => own,
        });
    }
    let position = |v: usize| {
        let mut sum = [0.0; 3];
        for (bone, absolute) in absolute.iter().enumerate() {
            let map = product(absolute, &hand.inverses[bone]);
            for i in 0..3 {
                let moved: f64 = (0..4).map(|j| map[i][j] * hand.vertices[v][j]).sum();
                sum[i] += hand.weights[v][bone] * moved;
            }
        }
        if hand.mirrored {
            sum[0] = -sum[0];
        }
        let turned = rotate(&theta[..3], sum);
        std::array::from_fn::<f64, 3, _>(|i| turned[i] + theta[3 + i])
    };
    let mut errors = Vec::new();
    for (n, (&c, point)) in hand.correspondences.iter().zip(&hand.points).enumerate() {
        for i in 0..3 {
            let at = if us.is_empty() {
                position(c)[i]
            } else {
                let (u, v, corners) = (us[2 * n], us[2 * n + 1], hand.triangles[c]);
                u * position(corners[0])[i]
                    + v * position(corners[1])[i]
                    + (1.0 - u - v) * position(corners[2])[i]
            };
            errors.push(point[i] - at);
        }
    }
    errors
}
