//! How fast the adapter moves memory: what matrix products are compared with.

use super::device::GpuDevice;
use crate::EngineError;

/// Of the buffers that are moved: beyond any cache.
const BYTES: u64 = 64 << 20;
/// Moves per submit, so that submitting does not count.
const MOVES: u32 = 8;
/// Of which the best counts.
const ROUNDS: u32 = 5;
/// Workgroups that read together.
const GROUPS: u32 = 1024;

/// 10^9 bytes per second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bandwidth {
    /// `copyBufferToBuffer`, counting what is read and what is written.
    pub copy_gigabytes_per_s: f64,
    /// A kernel that reads vec4s and adds them up.
    pub read_gigabytes_per_s: f64,
}

/// Measures it.
///
/// # Errors
/// No memory, or the device was lost.
pub async fn measure(
    device: &GpuDevice,
    now_ms: impl Fn() -> f64,
) -> Result<Bandwidth, EngineError> {
    use wgpu::BufferUsages as Usage;
    let storage = Usage::STORAGE | Usage::COPY_SRC | Usage::COPY_DST;
    let [from, to] = ["from", "to"].map(|label| device.buffer(label, BYTES, storage));
    let sums = device.buffer("sums", u64::from(GROUPS) * 16, storage);
    let staging = device.buffer("staging", 16, Usage::MAP_READ | Usage::COPY_DST);
    let binding = |binding, read_only| wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Storage { read_only },
            has_dynamic_offset: false,
            min_binding_size: None,
        },
        count: None,
    };
    let layout = device.bind_group_layout(&[binding(0, true), binding(1, false)]);
    let source = include_str!("wgsl/read.wgsl").to_owned();
    let pipeline = device.pipeline("read", source, &[&layout]);
    let buffers = [&from, &sums].map(wgpu::Buffer::as_entire_buffer_binding);
    let bind_group = device.bind_group(&layout, &buffers);

    let copy = |encoder: &mut wgpu::CommandEncoder| {
        encoder.copy_buffer_to_buffer(&from, 0, &to, 0, BYTES);
    };
    let read = |encoder: &mut wgpu::CommandEncoder| {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &bind_group, &[]);
        pass.dispatch_workgroups(GROUPS, 1, 1);
    };
    let mut best_ms = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (best_ms, moves) in best_ms.iter_mut().zip([&copy as &dyn Fn(&mut _), &read]) {
            let start = now_ms();
            let mut encoder = device.encoder();
            (0..MOVES).for_each(|_| moves(&mut encoder));
            encoder.copy_buffer_to_buffer(&sums, 0, &staging, 0, 16);
            device.queue().submit([encoder.finish()]);
            device.map(&staging, 16).await?;
            staging.unmap();
            *best_ms = best_ms.min(now_ms() - start);
        }
    }
    device.check()?;
    let gigabytes_per_s = |bytes: u64, ms: f64| bytes as f64 * f64::from(MOVES) / ms / 1e6;
    let [copy_ms, read_ms] = best_ms;
    Ok(Bandwidth {
        copy_gigabytes_per_s: gigabytes_per_s(2 * BYTES, copy_ms),
        read_gigabytes_per_s: gigabytes_per_s(BYTES, read_ms),
    })
}
