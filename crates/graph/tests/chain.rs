//! Chains: the blocks of a product go on with the group that reads them. A listing says where; bits do not depend on it.

use retrograde_graph::{Options, Params, Program, Rec, Result, Tape, Update, UpdateRule, Var};
use retrograde_storage::Array;

/// Descent with momentum.
struct Momentum;

impl UpdateRule<f32> for Momentum {
    fn columns(&self) -> usize {
        1
    }
    fn identity(&self) -> u64 {
        1
    }
    fn scalars(&self, _: u32, to: &mut Vec<f64>) {
        to.extend([0.01, 0.9]);
    }
    fn update<'t>(&self, of: Update<'_, 't, f32>) -> (Var<'t, f32>, Vec<Var<'t, f32>>) {
        let velocity = of.scalars[1] * of.state[0] + of.grad;
        (of.value - of.scalars[0] * velocity, vec![velocity])
    }
}

/// Numbers of both signs that repeat after a prime number of elements.
fn samples(dims: [usize; 2], modulus: usize) -> Array<f32> {
    Array::from_shape_fn(dims, |i| {
        let position = i[0] * dims[1] + i[1];
        (position * 37 % modulus) as f32 / modulus as f32 - 0.5
    })
}

/// A loss of data and parameters.
type Loss = for<'t> fn(Rec<'t>, [&'t Array<f32>; 2], [Var<'t, f32>; 2]) -> Var<'t, f32>;

/// Three steps: the listing, and the bits of parameters and moments afterwards.
fn trained(options: Options, sizes: [usize; 4], loss: Loss) -> Result<(String, Vec<u32>)> {
    let [m, k, h, n] = sizes;
    let (x, y) = (samples([m, k], 101), samples([m, n], 103));
    let mut params = Params::new();
    let ids = [
        params.insert("first", samples([k, h], 107)),
        params.insert("second", samples([h, n], 109)),
    ];
    let mut tape = Tape::with_options(options);
    for _ in 0..3 {
        let step = tape.train(&mut params);
        let weights = ids.map(|id| step.param(id));
        loss(step, [&x, &y], weights).minimise_with(&Momentum)?;
    }
    let listing = tape.last_program().expect("steps have run").listing;
    let mut bits = Vec::new();
    for id in ids {
        bits.extend(params.slice(id)?.iter().map(|v| v.to_bits()));
    }
    let moments = params.state(0).expect("there are moments");
    bits.extend(moments.iter().map(|v| v.to_bits()));
    Ok((listing, bits))
}

/// The groups of a listing that run with the blocks above, each with its lines.
fn chained(listing: &str) -> Vec<Vec<&str>> {
    let mut groups = Vec::new();
    let mut lines = listing.lines().peekable();
    while let Some(line) = lines.next() {
        if line.starts_with("group ") && line.ends_with(", with the blocks above:") {
            let mut group = Vec::new();
            while let Some(line) = lines.next_if(|l| l.starts_with("  ")) {
                group.push(line);
            }
            groups.push(group);
        }
    }
    groups
}

fn options(fuse: bool, threads: usize) -> Options {
    Options {
        fuse,
        threads,
        ..Options::default()
    }
}

const SIZES: [usize; 4] = [96, 256, 128, 64];

fn network<'t>(
    rec: Rec<'t>,
    [x, y]: [&'t Array<f32>; 2],
    [first, second]: [Var<'t, f32>; 2],
) -> Var<'t, f32> {
    let hidden = rec.input(x).matmul(first).tanh();
    (hidden.matmul(second) - rec.input(y)).square().mean()
}

#[test]
fn an_update_runs_with_the_blocks_of_its_gradient() -> Result<()> {
    let (listing, expected) = trained(options(false, 1), SIZES, network)?;
    assert!(chained(&listing).is_empty(), "{listing}");
    for threads in [1, 2, 3] {
        let (listing, bits) = trained(options(true, threads), SIZES, network)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
        let groups = chained(&listing);
        let updates = |group: &&Vec<&str>| group.iter().any(|line| line.contains(" -> input "));
        assert!(groups.iter().any(|g| updates(&g)), "{listing}");
        // The activation, too, is computed where the product's rows are.
        let activates = |group: &Vec<&str>| group.iter().any(|line| line.contains("= tanh "));
        assert!(groups.iter().any(activates), "{listing}");
    }
    Ok(())
}

/// What a group reads beside the product, one number a row or a column, it reads of the rows it is given.
#[test]
fn chained_groups_find_their_rows() -> Result<()> {
    let loss: Loss = |rec, [x, y], [first, second]| {
        let hidden = rec.input(x).matmul(first);
        let row = rec.input(x).sum_over(1).reshape([SIZES[0], 1]);
        let hidden = (hidden + row) * first.sum_over(0);
        (hidden.sigmoid().matmul(second) - rec.input(y))
            .square()
            .mean()
    };
    let (_, expected) = trained(options(false, 1), SIZES, loss)?;
    for threads in [1, 2, 3] {
        let (listing, bits) = trained(options(true, threads), SIZES, loss)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
        assert!(!chained(&listing).is_empty(), "{listing}");
    }
    Ok(())
}

/// The gradient of `w` in `w w` is a product with `w`, all of which every block reads: the update waits for the last.
#[test]
fn a_weight_that_the_product_reads_is_not_updated_by_its_blocks() -> Result<()> {
    let side = 192;
    let squared: Loss = |rec, [_, y], [first, second]| {
        (first.matmul(first) * rec.input(y)).sum() + second.square().sum()
    };
    let sizes = [side; 4];
    let (_, expected) = trained(options(false, 1), sizes, squared)?;
    for threads in [1, 2, 3] {
        let (listing, bits) = trained(options(true, threads), sizes, squared)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
        // The update reads the last product's result as it comes, so only what it overwrites keeps it from a chain.
        let product = listing.rfind("\nkernel ").expect("a product");
        let update = &listing[product..];
        assert!(update.contains("matmul"), "{listing}");
        assert!(update.contains(" -> input "), "{listing}");
        assert!(!update.contains("with the blocks above"), "{listing}");
    }
    Ok(())
}

/// Updates of weights of one shape would fit one group at the end; each goes on with the product that is its gradient.
#[test]
fn weights_of_one_shape_are_updated_with_their_own_products() -> Result<()> {
    let sizes = [384, 128, 128, 128];
    let (listing, expected) = trained(options(false, 1), sizes, network)?;
    assert!(chained(&listing).is_empty(), "{listing}");
    for threads in [1, 2, 3] {
        let (listing, bits) = trained(options(true, threads), sizes, network)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
        let groups = chained(&listing);
        let updates = |group: &&Vec<&str>| group.iter().any(|line| line.contains(" -> input "));
        assert_eq!(groups.iter().filter(updates).count(), 2, "{listing}");
    }
    Ok(())
}

/// The adjoint of an activation waits for nothing but its product, though the list has the weight's gradient in between.
#[test]
fn an_adjoint_runs_with_the_blocks_of_its_product() -> Result<()> {
    let sizes = [384, 256, 128, 64];
    let (_, expected) = trained(options(false, 1), sizes, network)?;
    for threads in [1, 2, 3] {
        let (listing, bits) = trained(options(true, threads), sizes, network)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
        // The activation, its adjoint, two updates.
        assert!(chained(&listing).len() >= 4, "{listing}");
    }
    Ok(())
}

/// Two products of a matrix with vectors take each block of its rows together, the group that reads both goes on with
/// them, and the product of the transposed matrix is cut by its terms. Vectors that are computed show whether their memory
/// outlives all of that: nobody reads them afterwards.
#[test]
fn products_with_one_matrix_read_it_together() -> Result<()> {
    let x = samples([4000, 100], 101).cast::<f64>();
    let [a, b] = [103, 107].map(|modulus| samples([100, 1], modulus).cast::<f64>());
    let inputs = [x, a.reshape([100])?, b.reshape([100])?];
    let program = Program::try_record(&inputs, |_, [x, a, b]| {
        let (z, w) = (x.matmul(a.tanh()), x.matmul(b.sin()));
        let u = z.sigmoid() * w;
        Ok([x.t().matmul(u), u].into())
    })?;
    let run = |options: Options| -> Result<(String, Vec<u64>)> {
        let program = program.with_options(options)?;
        let mut ws = program.workspace()?;
        let mut bits = Vec::new();
        // As often as inputs of that size take to be moved to large pages, and once more.
        for _ in 0..9 {
            let out = program.run(&mut ws, inputs.each_ref())?;
            let values = out.slice::<f64>(0)?.iter().chain(out.slice(1)?);
            bits = values.map(|v| v.to_bits()).collect();
        }
        Ok((program.to_string(), bits))
    };
    let (_, expected) = run(options(false, 1))?;
    for threads in [1, 2, 3] {
        let (listing, bits) = run(options(true, threads))?;
        assert!(
            listing.contains("(with the blocks of the next kernel)"),
            "{listing}"
        );
        assert_eq!(chained(&listing).len(), 1, "{listing}");
        assert!(bits == expected, "{threads} threads\n{listing}");
        let (_, poisoned) = run(Options {
            poison: true,
            ..options(true, threads)
        })?;
        assert!(
            poisoned == expected,
            "{threads} threads, poisoned\n{listing}"
        );
    }
    Ok(())
}

/// The bits of all outputs of a program and its listing.
fn outputs(
    program: &Program,
    inputs: &[Array<f64>],
    options: Options,
) -> Result<(String, Vec<u64>)> {
    let program = program.with_options(options)?;
    let mut ws = program.workspace()?;
    let mut bits = Vec::new();
    for _ in 0..2 {
        let out = program.run(&mut ws, inputs)?;
        bits.clear();
        for i in 0..program.output_count() {
            bits.extend(out.slice::<f64>(i)?.iter().map(|v| v.to_bits()));
        }
    }
    Ok((program.to_string(), bits))
}

/// The same bits, whatever is fused, shared, poisoned, and however many threads; what every fused listing says.
fn agree(program: &Program, inputs: &[Array<f64>], listed: impl Fn(&str)) -> Result<()> {
    let (listing, expected) = outputs(program, inputs, options(false, 1))?;
    assert!(!listing.contains("chain of"), "{listing}");
    for threads in [1, 2, 3] {
        let chained = options(true, threads);
        let (listing, bits) = outputs(program, inputs, chained)?;
        listed(&listing);
        assert!(bits == expected, "{threads} threads\n{listing}");
        let variants = [
            Options {
                poison: true,
                ..chained
            },
            Options {
                share: false,
                ..chained
            },
            Options {
                tile: std::num::NonZeroUsize::new(3),
                ..chained
            },
        ];
        for options in variants {
            let (listing, bits) = outputs(program, inputs, options)?;
            assert!(
                bits == expected,
                "{threads} threads, {options:?}\n{listing}"
            );
        }
    }
    Ok(())
}

fn wide(dims: [usize; 2], modulus: usize) -> Array<f64> {
    samples(dims, modulus).cast::<f64>()
}

/// How many products a listing has as links of longer chains.
fn links(listing: &str) -> usize {
    let kernels = listing.lines().filter(|l| l.starts_with("kernel "));
    kernels
        .filter(|l| l.contains("(with the blocks above)"))
        .count()
}

/// Rows that are summed ten by ten make the blocks of the product before them, and the adjoint's rows go strip by strip
/// into the product that reads them, without an array of their own. Neither rows nor columns come out even.
#[test]
fn a_product_takes_the_rows_that_a_group_computes() -> Result<()> {
    for (count, n) in [(23, 1100), (13, 2051), (41, 515)] {
        let inputs = [wide([count * 10, 7], 101), wide([7, n], 103)];
        let value = Program::record(&inputs, |_, [w, x]| {
            let images = w.matmul(x).reshape([count, 10, n]);
            let squares = (images * images).sum_over(1);
            squares.sin().sum()
        })?;
        let program = value.value_and_grad_of(&[0])?;
        agree(&program, &inputs, |listing| {
            assert_eq!(links(listing), 2, "{listing}");
            assert!(listing.contains("-> window"), "{listing}");
        })?;
    }
    Ok(())
}

/// A product whose threads would share out its terms is cut by rows in a chain, and then packs its other operand, which
/// takes more memory than the sums of the terms.
#[test]
fn a_product_of_many_terms_in_a_chain() -> Result<()> {
    for [m, n, k] in [[48, 64, 10_000], [16, 16, 20_000]] {
        let inputs = [wide([m, k], 101), wide([n, k], 103)];
        let program = Program::record(&inputs, |_, [x, w]| x.relu().matmul(w.t()))?;
        agree(&program, &inputs, |_| ())?;
        let inputs = [wide([m, k], 101), wide([k, n], 103)];
        let program = Program::record(&inputs, |_, [x, w]| x.relu().matmul(w))?;
        agree(&program, &inputs, |_| ())?;
    }
    Ok(())
}

/// Layers one after another are one chain by rows of the batch; what is read later has an array, what is not a window.
#[test]
fn layers_are_one_chain() -> Result<()> {
    let inputs = [
        wide([333, 200], 101),
        wide([200, 700], 103),
        wide([700, 400], 107),
        wide([400, 450], 109),
    ];
    for kept in [false, true] {
        let program = Program::try_record(&inputs, |_, [x, a, b, c]| {
            let first = x.matmul(a).tanh();
            let second = first.matmul(b).sigmoid();
            let third = second.matmul(c).sin();
            let other = if kept {
                // Read by all rows, when the chain is done.
                first.t().matmul(third)
            } else {
                third
            };
            Ok([third.max_over(1), other].into())
        })?;
        agree(&program, &inputs, |listing| {
            assert_eq!(links(listing), 3, "{listing}");
            assert_eq!(listing.matches("chain of").count(), 1, "{listing}");
            let line = listing.lines().find(|l| l.contains("= tanh "));
            let window = line.is_some_and(|l| l.ends_with("-> window"));
            assert_eq!(window, !kept, "{listing}");
        })?;
    }
    Ok(())
}

/// A product that reads all rows of what the group computes, as its other operand, waits for all blocks.
#[test]
fn a_product_of_a_matrix_with_itself_is_not_chained() -> Result<()> {
    let inputs = [wide([400, 400], 101), wide([400, 400], 103)];
    let program = Program::try_record(&inputs, |_, [x, a]| {
        let y = x.matmul(a).tanh();
        let z = x.matmul(a).sin();
        Ok([y.matmul(y), z.matmul(y)].into())
    })?;
    agree(&program, &inputs, |listing| {
        assert!(links(listing) <= 1, "{listing}");
    })
}

/// A group that reads other rows of what the chain computes than its own waits for all blocks.
#[test]
fn a_group_that_reads_other_rows_is_not_chained() -> Result<()> {
    let inputs = [wide([400, 400], 101), wide([400, 400], 103)];
    let program = Program::try_record(&inputs, |_, [x, a]| {
        let y = x.matmul(a).tanh();
        Ok([(y.matmul(a) + y.t()).sin().matmul(a)].into())
    })?;
    agree(&program, &inputs, |listing| {
        // It begins a chain of its own.
        assert_eq!(listing.matches("chain of").count(), 2, "{listing}");
    })
}

/// Weights that a longer chain reads are updated in place by the same program, after it.
#[test]
fn updates_wait_for_longer_chains() -> Result<()> {
    let sizes = [700, 96, 400, 64];
    let (_, expected) = trained(options(false, 1), sizes, network)?;
    for threads in [1, 2, 3] {
        let (listing, bits) = trained(options(true, threads), sizes, network)?;
        assert!(bits == expected, "{threads} threads\n{listing}");
        let chain = listing.find("chain of");
        let update = listing.find(" -> input ");
        assert!(chain.is_some() && chain < update, "{listing}");
    }
    Ok(())
}
