//! Which variant of an executor a phone takes: the fastest of those that compute what the CPU does.

use model::{Graph, NumericClass};

use crate::{EngineError, Executor, Setup, profile, self_test};

/// Less faster than this is as fast: the usual variant stays.
const WORTH_IT: f64 = 0.9;

/// Variants that a phone may take.
#[derive(Debug, Clone)]
pub struct Candidates<V> {
    /// Those that are worth comparing, the usual one first.
    pub compared: Vec<V>,
    /// Taken where none of those is right, the first that is.
    pub otherwise: Vec<V>,
}

/// What became of them.
#[derive(Debug)]
pub struct Choice<V> {
    /// It may be given units.
    pub variant: V,
    /// Why others may not.
    pub refused: Vec<(V, EngineError)>,
}

/// Compares variants of the executor that `make` builds: each computes what the CPU does, then a short answer is timed. A single
/// one is not timed.
///
/// # Errors
/// What the last one was refused for, when none passes.
pub async fn choose<V: Copy, E: Executor>(
    graph: &Graph,
    class: NumericClass,
    candidates: &Candidates<V>,
    make: impl AsyncFn(V, Setup) -> Result<E, EngineError>,
    now_ms: impl Fn() -> f64,
) -> Result<Choice<V>, EngineError> {
    let mut refused = Vec::new();
    let mut fastest: Option<(V, f64)> = None;
    for variant in candidates.compared.iter().copied() {
        let found = async {
            self_test::run(graph, class, async |setup| make(variant, setup).await).await?;
            if candidates.compared.len() == 1 {
                return Ok(0.0);
            }
            let make = async |setup| make(variant, setup).await;
            profile::short_answer_ms(graph, class, make, &now_ms).await
        };
        match (found.await, fastest) {
            (Ok(ms), None) => fastest = Some((variant, ms)),
            (Ok(ms), Some((_, least_ms))) if ms < WORTH_IT * least_ms => {
                fastest = Some((variant, ms));
            }
            (Ok(_), Some(_)) => {}
            (Err(error), _) => refused.push((variant, error)),
        }
    }
    if let Some((variant, _)) = fastest {
        return Ok(Choice { variant, refused });
    }
    for variant in candidates.otherwise.iter().copied() {
        match self_test::run(graph, class, async |setup| make(variant, setup).await).await {
            Ok(_) => return Ok(Choice { variant, refused }),
            Err(error) => refused.push((variant, error)),
        }
    }
    let none = EngineError::Misuse {
        detail: "there is no variant to test".to_owned(),
    };
    Err(refused.pop().map_or(none, |(_, error)| error))
}
