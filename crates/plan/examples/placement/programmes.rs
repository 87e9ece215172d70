//! minilp against microlp, on relaxations of placement: phones hold shares of attention and MLP blocks within their memory.

use std::panic::catch_unwind;

use crate::clock::cpu_ms;
use crate::instances::Draw;
use crate::statistics::{Sorted, Table, number, text};

/// Minimise costs of variables in 0..=1 under rows of (variable, coefficient) and an upper bound; both kinds of blocks are placed once.
struct Programme {
    costs: Vec<f64>,
    most: Vec<(Vec<(usize, f64)>, f64)>,
    exactly: Vec<(Vec<(usize, f64)>, f64)>,
}

/// Per phone: whether it is used, its share of attention blocks, its share of MLP blocks; all numbers within six decades.
fn programme(seed: u64) -> Programme {
    let mut draw = Draw(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    draw.between(0.0, 1.0);
    let phones = draw.whole(2, 32) as usize;
    let mut programme = Programme {
        costs: Vec::new(),
        most: Vec::new(),
        exactly: Vec::new(),
    };
    let (mut attention, mut mlp) = (Vec::new(), Vec::new());
    for phone in 0..phones {
        let (used, a, m) = (3 * phone, 3 * phone + 1, 3 * phone + 2);
        let decades = 10_f64.powf(draw.between(-3.0, 0.0));
        programme.costs.extend([
            draw.between(1e-3, 0.1),
            decades * draw.between(0.1, 1.0),
            decades * draw.between(0.1, 1.0),
        ]);
        programme.most.push((vec![(a, 1.0), (used, -1.0)], 0.0));
        programme.most.push((vec![(m, 1.0), (used, -1.0)], 0.0));
        let memory = draw.between(1.2, 4.0) / phones as f64;
        programme
            .most
            .push((vec![(a, 1.0 / 3.0), (m, 2.0 / 3.0)], memory));
        attention.push((a, 1.0));
        mlp.push((m, 1.0));
    }
    programme.exactly = vec![(attention, 1.0), (mlp, 1.0)];
    programme
}

fn by_minilp(programme: &Programme) -> Option<f64> {
    use minilp::{ComparisonOp, OptimizationDirection, Problem};
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let variables: Vec<_> = programme
        .costs
        .iter()
        .map(|&cost| problem.add_var(cost, (0.0, 1.0)))
        .collect();
    for (rows, operator) in [
        (&programme.most, ComparisonOp::Le),
        (&programme.exactly, ComparisonOp::Eq),
    ] {
        for (row, bound) in rows {
            let row = row.iter().map(|&(at, by)| (variables[at], by));
            problem.add_constraint(row, operator, *bound);
        }
    }
    Some(problem.solve().ok()?.objective())
}

fn by_microlp(programme: &Programme) -> Option<f64> {
    use microlp::{ComparisonOp, OptimizationDirection, Problem, SolveOutcome};
    let mut problem = Problem::new(OptimizationDirection::Minimize);
    let variables: Vec<_> = programme
        .costs
        .iter()
        .map(|&cost| problem.add_var(cost, (0.0, 1.0)))
        .collect();
    for (rows, operator) in [
        (&programme.most, ComparisonOp::Le),
        (&programme.exactly, ComparisonOp::Eq),
    ] {
        for (row, bound) in rows {
            let row = row.iter().map(|&(at, by)| (variables[at], by));
            problem.add_constraint(row.collect::<Vec<_>>(), operator, *bound);
        }
    }
    match problem.solve().ok()? {
        SolveOutcome::Solution(solution) => Some(solution.objective()),
        SolveOutcome::Interrupted(_) => None,
    }
}

pub fn compare(instances: u64) -> Table {
    let (mut times, mut failures, mut apart) = ([Vec::new(), Vec::new()], [0_u32; 2], 0.0_f64);
    let solvers: [fn(&Programme) -> Option<f64>; 2] = [by_minilp, by_microlp];
    for seed in 0..instances {
        let programme = programme(seed);
        let mut objectives = [f64::NAN; 2];
        for (at, solver) in solvers.into_iter().enumerate() {
            let start_ms = cpu_ms();
            let solved = catch_unwind(|| solver(&programme)).ok().flatten();
            times[at].push((cpu_ms() - start_ms) * 1e3);
            match solved {
                Some(objective) => objectives[at] = objective,
                None => failures[at] += 1,
            }
        }
        let [a, b] = objectives;
        if a.is_finite() && b.is_finite() {
            apart = apart.max((a - b).abs() / b.abs().max(1e-9));
        }
    }
    let [minilp, microlp] = times.map(Sorted::of);
    let row = |name: &str, times: Sorted, failures: u32| {
        vec![
            text(name),
            number(times.len() as f64, 0),
            number(f64::from(failures), 0),
            number(times.median(), 0),
            number(times.worst(), 0),
        ]
    };
    Table {
        title: format!(
            "Linear programmes of 2 to 32 phones; the optima of the two differ by {apart:.1e} at most, as a share"
        ),
        columns: vec![
            "solver",
            "programmes",
            "failed or panicked",
            "median us",
            "worst us",
        ],
        rows: vec![
            row("minilp 0.2", minilp, failures[0]),
            row("microlp 0.7", microlp, failures[1]),
        ],
    }
}
