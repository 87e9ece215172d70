//! Burn's tensors: every op of the graph, slower.

use engine::{
    EngineError, Setup,
    burn::{BurnDevice, BurnExecutor},
    gpu::GpuDevice,
    self_test,
};
use model::{Graph, NumericClass};

/// Executor of this build.
pub type GpuExecutor = BurnExecutor;

/// The device.
#[derive(Clone)]
pub struct Gpu(BurnDevice);

impl Gpu {
    /// Asks for the device.
    ///
    /// # Errors
    /// No usable adapter.
    pub async fn request(_lost: Option<&Self>) -> Result<Self, EngineError> {
        let device = GpuDevice::request("lingualinked").await?;
        Ok(Self(BurnDevice::new(&device)?))
    }

    /// Whether it has to be asked for again.
    pub fn is_lost(&self) -> bool {
        self.0.gpu().is_lost()
    }

    /// What the adapter calls itself.
    pub fn adapter_name(&self) -> String {
        self.0.gpu().adapter_name()
    }

    /// # Errors
    /// As [`BurnExecutor::new`].
    pub fn executor(&self, setup: Setup) -> Result<GpuExecutor, EngineError> {
        BurnExecutor::new(&self.0, setup)
    }

    /// Compares with the CPU's numbers, and says what runs.
    ///
    /// # Errors
    /// They differ.
    pub async fn test(
        &mut self,
        graph: &Graph,
        class: NumericClass,
        _known: Option<&str>,
        _refused: impl Fn(&EngineError),
    ) -> Result<String, EngineError> {
        self_test::run(graph, class, async |setup| self.executor(setup)).await?;
        Ok("generic".to_owned())
    }
}
