//! How fast the adapter moves memory: what matrix products are compared with.

use super::device::GpuDevice;
use crate::EngineError;

/// Of a buffer that is moved.
const BYTES: u64 = 64 << 20;
/// Moved one after the other, in one submit so that submitting does not count: together they are beyond any cache.
const BUFFERS: usize = 8;
/// Of which the best counts.
const ROUNDS: u32 = 5;
/// A round repeats its moves for about so long, and so often at most.
const ROUND_MS: f64 = 20.0;
const MAX_REPEATS: f64 = 64.0;
/// Workgroups that read together.
const GROUPS: u32 = 4096;

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
    let buffers = [(); BUFFERS].map(|()| device.buffer("moved", BYTES, storage));
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
    let bind_groups = buffers.each_ref().map(|buffer| {
        let bound = [buffer, &sums].map(wgpu::Buffer::as_entire_buffer_binding);
        device.bind_group(&layout, &bound)
    });

    let copy = |encoder: &mut wgpu::CommandEncoder| {
        for pair in buffers.windows(2) {
            encoder.copy_buffer_to_buffer(&pair[0], 0, &pair[1], 0, BYTES);
        }
    };
    let read = |encoder: &mut wgpu::CommandEncoder| {
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        pass.set_pipeline(&pipeline);
        for bind_group in &bind_groups {
            pass.set_bind_group(0, bind_group, &[]);
            pass.dispatch_workgroups(GROUPS, 1, 1);
        }
    };
    let mut best_ms = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        for (best_ms, moves) in best_ms.iter_mut().zip([&copy as &dyn Fn(&mut _), &read]) {
            // Once in the first round.
            let repeats = (ROUND_MS / *best_ms).clamp(1.0, MAX_REPEATS).floor();
            let start = now_ms();
            let mut encoder = device.encoder();
            (0..repeats as u32).for_each(|_| moves(&mut encoder));
            encoder.copy_buffer_to_buffer(&sums, 0, &staging, 0, 16);
            device.queue().submit([encoder.finish()]);
            device.map(&staging, 16).await?;
            staging.unmap();
            *best_ms = best_ms.min((now_ms() - start) / repeats);
        }
    }
    device.check()?;
    let gigabytes_per_s = |moved: usize, ms: f64| (moved as u64 * BYTES) as f64 / ms / 1e6;
    let [copy_ms, read_ms] = best_ms;
    Ok(Bandwidth {
        copy_gigabytes_per_s: gigabytes_per_s(2 * (BUFFERS - 1), copy_ms),
        read_gigabytes_per_s: gigabytes_per_s(BUFFERS, read_ms),
    })
}
