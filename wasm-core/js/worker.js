// A worker's first message brings the compiled module and the role; Rust does the rest.
import { initSync, run_worker } from "./lingualinked.js";

self.onmessage = ({ data: { module, role } }) => {
  self.onmessage = null;
  initSync({ module });
  run_worker(role);
};
