//! One GPU device of the page, and the only place that creates objects on it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use futures::channel::oneshot;

use super::{
    kernels::Kernels,
    variant::{Offers, Variant},
};
use crate::EngineError;

/// A device that executors share. Cheap to clone.
#[derive(Clone)]
pub struct GpuDevice {
    #[cfg(feature = "burn")]
    instance: wgpu::Instance,
    adapter: wgpu::Adapter,
    device: wgpu::Device,
    queue: wgpu::Queue,
    binding_bytes: u64,
    offers: Offers,
    variant: Variant,
    kernels: Arc<Mutex<Kernels>>,
    health: Arc<Health>,
}

/// Largest binding asked for, whatever the adapter offers: every WebGPU device has it.
const MAX_BINDING_BYTES: u64 = 128 << 20;

/// What some of our kernels use.
const OUR_FEATURES: wgpu::Features = wgpu::Features::SUBGROUP.union(wgpu::Features::SHADER_F16);

/// Asked for where the adapter has them: what CubeCL takes for granted then, besides ours.
const SHADER_FEATURES: wgpu::Features = if cfg!(feature = "burn") {
    OUR_FEATURES
        .union(wgpu::Features::SHADER_F64)
        .union(wgpu::Features::SHADER_INT64)
        .union(wgpu::Features::SHADER_FLOAT32_ATOMIC)
} else {
    OUR_FEATURES
};

/// What the driver reports between calls.
#[derive(Default)]
struct Health {
    /// Why the device is gone.
    lost: Mutex<Option<String>>,
    /// The first error nobody asked for.
    failure: Mutex<Option<EngineError>>,
    created: AtomicU64,
}

impl GpuDevice {
    /// Asks for the fastest adapter, and for a device with its buffer limits.
    ///
    /// # Errors
    /// [`EngineError::NoAdapter`].
    pub async fn request(label: &str) -> Result<Self, EngineError> {
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::PRIMARY,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            ..wgpu::RequestAdapterOptions::default()
        };
        let adapter = instance
            .request_adapter(&options)
            .await
            .map_err(|error| no_adapter(&error))?;
        let offered = adapter.limits();
        let required_limits = wgpu::Limits {
            max_storage_buffer_binding_size: offered.max_storage_buffer_binding_size,
            max_buffer_size: offered.max_buffer_size,
            ..limits_for_shaders(&offered)
        };
        let descriptor = wgpu::DeviceDescriptor {
            label: Some(label),
            required_features: adapter.features() & SHADER_FEATURES,
            required_limits,
            ..wgpu::DeviceDescriptor::default()
        };
        let (device, queue) = adapter
            .request_device(&descriptor)
            .await
            .map_err(|error| no_adapter(&error))?;
        let info = adapter.get_info();
        let has = |feature| device.features().contains(feature);
        let offers = Offers {
            subgroup_lanes: match has(wgpu::Features::SUBGROUP) {
                true => info.subgroup_min_size,
                false => 0,
            },
            halves: has(wgpu::Features::SHADER_F16),
            packed_dot: instance
                .wgsl_language_features()
                .contains(wgpu::WgslLanguageFeatures::Packed4x8IntegerDotProduct),
            is_software: info.device_type == wgpu::DeviceType::Cpu,
        };
        let asked = Self {
            binding_bytes: MAX_BINDING_BYTES
                .min(offered.max_storage_buffer_binding_size)
                .min(offered.max_buffer_size),
            device,
            queue,
            offers,
            variant: offers.usual(),
            #[cfg(feature = "burn")]
            instance,
            adapter,
            kernels: Arc::default(),
            health: Arc::default(),
        };
        asked.watch();
        Ok(asked)
    }

    /// Whether the browser or the driver took the device away. Every later call fails.
    pub fn is_lost(&self) -> bool {
        locked(&self.health.lost).is_some()
    }

    /// What the adapter calls itself.
    pub fn adapter_name(&self) -> String {
        name(&self.adapter.get_info())
    }

    /// Buffers, bind groups, layouts, pipelines and shader modules created so far.
    pub fn objects_created(&self) -> u64 {
        self.health.created.load(Ordering::Relaxed)
    }

    /// This device, with bindings of at most `bytes`: larger weights lie in several buffers.
    pub fn with_bindings_of(self, bytes: u64) -> Self {
        Self {
            binding_bytes: self.binding_bytes.min(bytes),
            ..self
        }
    }

    /// What it has besides the least that every one has.
    pub fn offers(&self) -> Offers {
        self.offers
    }

    /// This device with other kernels.
    pub fn with_variant(self, variant: Variant) -> Self {
        Self { variant, ..self }
    }

    /// This device, whose subgroups have so many lanes at least: browsers' devices have a feature that wgpu cannot ask them for.
    pub fn with_subgroups_of(self, lanes: u32) -> Self {
        let offers = Offers {
            subgroup_lanes: lanes,
            ..self.offers
        };
        Self { offers, ..self }
    }

    /// Takes the device away, as a driver would.
    pub fn destroy(&self) {
        self.device.destroy();
    }

    /// Everything another user of this device needs.
    #[cfg(feature = "burn")]
    pub(crate) fn handles(&self) -> (wgpu::Instance, wgpu::Adapter, wgpu::Device, wgpu::Queue) {
        (
            self.instance.clone(),
            self.adapter.clone(),
            self.device.clone(),
            self.queue.clone(),
        )
    }

    /// Listens to the driver, instead of whoever listened before.
    pub(crate) fn watch(&self) {
        let told = Arc::clone(&self.health);
        self.device.set_device_lost_callback(move |_, detail| {
            locked(&told.lost).get_or_insert(detail);
        });
        let told = Arc::clone(&self.health);
        self.device.on_uncaptured_error(Arc::new(move |error| {
            locked(&told.failure).get_or_insert_with(|| failure(&error));
        }));
    }

    /// What went wrong since the last time somebody asked, if anything.
    ///
    /// # Errors
    /// [`EngineError::DeviceLost`], [`EngineError::OutOfMemory`].
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if let Some(detail) = locked(&self.health.lost).clone() {
            return Err(EngineError::DeviceLost { detail });
        }
        match locked(&self.health.failure).take() {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Compiled so far.
    pub(super) fn kernels(&self) -> MutexGuard<'_, Kernels> {
        locked(&self.kernels)
    }

    /// Which kernels run on it.
    pub fn variant(&self) -> Variant {
        self.variant
    }

    /// Lanes that add up what they have without memory; 0: none.
    pub(super) fn subgroup_lanes(&self) -> u32 {
        match self.variant.subgroups {
            true => self.offers.subgroup_lanes,
            false => 0,
        }
    }

    /// Bytes of the largest binding.
    pub(crate) fn binding_bytes(&self) -> u64 {
        self.binding_bytes
    }

    /// Catches what goes wrong with objects created until it is popped.
    pub(super) fn watch_memory(&self) -> wgpu::ErrorScopeGuard {
        self.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory)
    }

    /// Catches kernels the driver refuses until it is popped.
    pub(super) fn watch_validation(&self) -> wgpu::ErrorScopeGuard {
        self.device.push_error_scope(wgpu::ErrorFilter::Validation)
    }

    /// Zeroed.
    pub(super) fn buffer(
        &self,
        label: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
    ) -> wgpu::Buffer {
        self.count();
        self.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(label),
            size: bytes,
            usage,
            mapped_at_creation: false,
        })
    }

    pub(super) fn bind_group_layout(
        &self,
        entries: &[wgpu::BindGroupLayoutEntry],
    ) -> wgpu::BindGroupLayout {
        self.count();
        let label = None;
        self.device
            .create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries })
    }

    /// Buffers at bindings 0, 1, ...
    pub(super) fn bind_group(
        &self,
        layout: &wgpu::BindGroupLayout,
        buffers: &[wgpu::BufferBinding<'_>],
    ) -> wgpu::BindGroup {
        self.count();
        let entries: Vec<_> = (0..)
            .zip(buffers)
            .map(|(binding, buffer)| wgpu::BindGroupEntry {
                binding,
                resource: wgpu::BindingResource::Buffer(buffer.clone()),
            })
            .collect();
        self.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout,
            entries: &entries,
        })
    }

    /// The kernel `main` of a WGSL text.
    pub(super) fn pipeline(
        &self,
        label: &str,
        source: String,
        layouts: &[&wgpu::BindGroupLayout],
    ) -> wgpu::ComputePipeline {
        self.count();
        let module = self
            .device
            .create_shader_module(wgpu::ShaderModuleDescriptor {
                label: Some(label),
                source: wgpu::ShaderSource::Wgsl(source.into()),
            });
        let layouts: Vec<_> = layouts.iter().copied().map(Some).collect();
        let layout = self
            .device
            .create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
                label: Some(label),
                bind_group_layouts: &layouts,
                immediate_size: 0,
            });
        self.device
            .create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
                label: Some(label),
                layout: Some(&layout),
                module: &module,
                entry_point: Some("main"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    // Every kernel writes what it reads; a browser fills them all the same.
                    zero_initialize_workgroup_memory: false,
                    ..wgpu::PipelineCompilationOptions::default()
                },
                cache: None,
            })
    }

    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.device
            .create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Waits until the first `bytes` of a staging buffer can be read.
    ///
    /// # Errors
    /// [`EngineError::DeviceLost`].
    pub(super) async fn map(&self, staging: &wgpu::Buffer, bytes: u64) -> Result<(), EngineError> {
        let (sender, mapped) = oneshot::channel();
        staging.map_async(wgpu::MapMode::Read, ..bytes, move |result| {
            // Nobody waits any more when the executor is dropped.
            drop(sender.send(result));
        });
        #[cfg(not(target_arch = "wasm32"))]
        drop(self.device.poll(wgpu::PollType::wait_indefinitely()));
        match mapped.await {
            Ok(Ok(())) => Ok(()),
            _ => self.check().and(Err(EngineError::DeviceLost {
                detail: "results could not be read back".into(),
            })),
        }
    }

    fn count(&self) {
        self.health.created.fetch_add(1, Ordering::Relaxed);
    }
}

/// What an error scope or the driver reported.
pub(super) fn failure(error: &wgpu::Error) -> EngineError {
    match error {
        wgpu::Error::OutOfMemory { .. } => EngineError::GpuLimit {
            detail: "it has no memory left".into(),
        },
        wgpu::Error::Validation { .. } | wgpu::Error::Internal { .. } => EngineError::DeviceLost {
            detail: error.to_string(),
        },
    }
}

/// What our own kernels need; CubeCL sizes its workgroups by what the adapter has.
fn limits_for_shaders(offered: &wgpu::Limits) -> wgpu::Limits {
    let ours = wgpu::Limits::default();
    if !cfg!(feature = "burn") {
        return ours;
    }
    wgpu::Limits {
        max_compute_invocations_per_workgroup: offered.max_compute_invocations_per_workgroup,
        max_compute_workgroup_size_x: offered.max_compute_workgroup_size_x,
        max_compute_workgroup_size_y: offered.max_compute_workgroup_size_y,
        max_compute_workgroup_size_z: offered.max_compute_workgroup_size_z,
        max_compute_workgroups_per_dimension: offered.max_compute_workgroups_per_dimension,
        max_compute_workgroup_storage_size: offered.max_compute_workgroup_storage_size,
        max_storage_buffers_per_shader_stage: offered.max_storage_buffers_per_shader_stage,
        ..ours
    }
}

fn no_adapter(error: &dyn core::fmt::Display) -> EngineError {
    EngineError::NoAdapter {
        detail: error.to_string(),
    }
}

fn name(info: &wgpu::AdapterInfo) -> String {
    let words = [&info.name, &info.driver, &info.driver_info];
    let words: Vec<&str> = words
        .into_iter()
        .map(String::as_str)
        .filter(|word| !word.is_empty())
        .collect();
    if words.is_empty() {
        "WebGPU".into()
    } else {
        words.join(", ")
    }
}

/// A thread that panicked cannot have left half of an `Option` behind.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
