//! Time that other load on the machine does not lengthen.

use std::sync::OnceLock;
use std::time::Instant;

/// CPU ms of this thread where the system tells (Linux), else ms.
pub fn cpu_ms() -> f64 {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = START.get_or_init(Instant::now);
    let on_cpu = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = on_cpu.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    nanos.map_or(start.elapsed().as_secs_f64() * 1e3, |nanos| nanos / 1e6)
}
