//! Our own kernels.

use engine::{
    EngineError, Setup,
    choice::{self, Candidates},
    gpu::{GpuDevice, Variant},
};
use js_sys::Reflect;
use model::{Graph, NumericClass};

use crate::{clock::now_ms, threads::scope};

pub use engine::gpu::GpuExecutor;

/// The device, with the kernels that passed the self-test.
#[derive(Clone)]
pub struct Gpu(GpuDevice);

impl Gpu {
    /// Asks for the device; in place of one that was lost, with the kernels that passed there.
    ///
    /// # Errors
    /// No usable adapter.
    pub async fn request(lost: Option<&Self>) -> Result<Self, EngineError> {
        let device = GpuDevice::request("lingualinked").await?;
        let device = device.with_subgroups_of(subgroup_lanes());
        Ok(Self(match lost {
            Some(Self(lost)) => device.with_variant(lost.variant()),
            None => device,
        }))
    }

    /// Whether it has to be asked for again.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    /// What the adapter calls itself.
    pub fn adapter_name(&self) -> String {
        self.0.adapter_name()
    }

    /// # Errors
    /// As [`GpuExecutor::new`].
    pub fn executor(&self, setup: Setup) -> Result<GpuExecutor, EngineError> {
        GpuExecutor::new(&self.0, setup)
    }

    /// Takes the fastest kernels that give the CPU's numbers, and says which; the `known` ones where these do. `refused` hears of
    /// those that do not.
    ///
    /// # Errors
    /// None does.
    pub async fn test(
        &mut self,
        graph: &Graph,
        class: NumericClass,
        known: Option<&str>,
        refused: impl Fn(&EngineError),
    ) -> Result<String, EngineError> {
        let mut candidates = self.0.offers().candidates();
        let is_known = |variant: &Variant| known == Some(variant.to_string().as_str());
        if let Some(known) = candidates.compared.iter().copied().find(is_known) {
            candidates = Candidates {
                compared: vec![known],
                otherwise: [candidates.compared, candidates.otherwise].concat(),
            };
        }
        let with = |variant| self.0.clone().with_variant(variant);
        let make = async |variant, setup| GpuExecutor::new(&with(variant), setup);
        let choice = choice::choose(graph, class, &candidates, make, now_ms).await?;
        choice.refused.iter().for_each(|(_, error)| refused(error));
        self.0 = with(choice.variant);
        Ok(choice.variant.to_string())
    }
}

/// Lanes of the smallest subgroup of the device that was asked for, as this worker's script found it; 0: none.
fn subgroup_lanes() -> u32 {
    let lanes = Reflect::get(&scope(), &"subgroupLanes".into()).ok();
    let lanes = lanes.and_then(|lanes| lanes.as_f64()).unwrap_or(0.0);
    // A number that is none becomes 0.
    lanes as u32
}
