// A worker's first message brings the compiled module and the role; Rust does the rest.
import { initSync, run_worker } from "./lingualinked.js";

self.onmessage = ({ data: { module, role } }) => {
  self.onmessage = null;
  const { memory } = initSync({ module });
  // What this thread's heap takes, and ever took: it never shrinks. For whoever measures.
  self.heapBytes = () => memory.buffer.byteLength;
  run_worker(role);
};
