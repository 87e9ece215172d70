//! CubeCL's runtime on the wgpu device that our own kernels use.

use burn_backend::Backend;
use burn_wgpu::{RuntimeOptions, Wgpu, WgpuSetup, try_init_device};
use cubecl::Device;

use crate::{EngineError, gpu::GpuDevice};

/// Kernels that CubeCL gathers before it submits them.
const TASKS_PER_SUBMIT: usize = 512;

/// A device that executors share. Cheap to clone; a page makes one, since CubeCL keeps what it registers.
#[derive(Clone)]
pub struct BurnDevice {
    gpu: GpuDevice,
    device: Device,
}

impl BurnDevice {
    /// Registers a device.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`] where CubeCL cannot use it.
    pub fn new(gpu: &GpuDevice) -> Result<Self, EngineError> {
        let refused = |error: burn_wgpu::WgpuInitError| EngineError::NoAdapter {
            detail: error.to_string(),
        };
        let (instance, adapter, device, queue) = gpu.handles();
        let backend = adapter.get_info().backend;
        let setup = WgpuSetup {
            instance,
            adapter,
            device,
            queue,
            backend,
        };
        let options = RuntimeOptions::with_tasks_max(Some(TASKS_PER_SUBMIT)).map_err(refused)?;
        let device = try_init_device(setup, options).map_err(refused)?;
        // CubeCL's own handlers panic.
        gpu.watch();
        Ok(Self {
            gpu: gpu.clone(),
            device: Device::Wgpu(device),
        })
    }

    /// The device as our own kernels see it.
    pub fn gpu(&self) -> &GpuDevice {
        &self.gpu
    }

    /// The device as Burn sees it.
    pub(super) fn device(&self) -> &Device {
        &self.device
    }

    /// Bytes that CubeCL keeps for all executors on this device, used or not.
    pub(super) fn reserved_bytes(&self) -> u64 {
        Wgpu::memory_pool_usage(&self.device).map_or(0, |usage| usage.bytes_reserved)
    }

    /// Waits until everything given to the device is done.
    ///
    /// # Errors
    /// Whatever went wrong on the way.
    pub(super) async fn finish(&self) -> Result<(), EngineError> {
        let finished = self.device.client().sync().await;
        self.gpu.check()?;
        finished.map_err(|error| EngineError::DeviceLost {
            detail: error.to_string(),
        })
    }
}
