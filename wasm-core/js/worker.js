// A worker's first message brings the compiled module and the role; Rust does the rest.
import { initSync, run_worker } from "./lingualinked.js";

// wgpu 30 has no name for WebGPU's feature "subgroups", so a request for a device is completed on its way.
const adapters = self.GPUAdapter?.prototype;
const requestDevice = adapters?.requestDevice;
if (requestDevice) {
  adapters.requestDevice = function (wanted = {}) {
    if (!this.features.has("subgroups")) return requestDevice.call(this, wanted);
    self.subgroupLanes = this.info?.subgroupMinSize ?? 0;
    return requestDevice.call(this, { ...wanted, requiredFeatures: [...(wanted.requiredFeatures ?? []), "subgroups"] });
  };
}

self.onmessage = ({ data: { module, role } }) => {
  self.onmessage = null;
  const { memory } = initSync({ module });
  // What this thread's heap takes, and ever took: it never shrinks. For whoever measures.
  self.heapBytes = () => memory.buffer.byteLength;
  run_worker(role);
};
