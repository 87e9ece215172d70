//! Our own kernels.

use engine::{EngineError, Setup, gpu::GpuDevice, self_test};
use model::{Graph, NumericClass};

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
        Ok(Self(match lost {
            Some(Self(lost)) => device.with_linear_kernels(lost.linear_kernels()),
            None => device,
        }))
    }

    /// Whether it has to be asked for again.
    pub fn is_lost(&self) -> bool {
        self.0.is_lost()
    }

    /// # Errors
    /// As [`GpuExecutor::new`].
    pub fn executor(&self, setup: Setup) -> Result<GpuExecutor, EngineError> {
        GpuExecutor::new(&self.0, setup)
    }

    /// Takes the first kernels that give the CPU's numbers, and says what runs now; `refused` hears of those that do not.
    ///
    /// # Errors
    /// None does.
    pub async fn test(
        &mut self,
        graph: &Graph,
        class: NumericClass,
        refused: impl Fn(&EngineError),
    ) -> Result<String, EngineError> {
        let with = |kernels| self.0.clone().with_linear_kernels(kernels);
        let variants = self.0.variants();
        let make = async |kernels, setup| GpuExecutor::new(&with(kernels), setup);
        let passed = self_test::first_right(graph, class, &variants, make).await?;
        passed.refused.iter().for_each(|(_, error)| refused(error));
        self.0 = with(passed.variant);
        Ok(format!("{}, {}", self.0.adapter_name(), passed.variant))
    }
}
