// A slower processor, emulated: a phone's workers wait after whatever they computed, for as long as a slower one would have taken longer.
// A share of a processor (cgroup quota) is no such thing: what a phone computes for one token is over before a quota takes effect.

/** Script to put in front of a worker's own: its WebAssembly takes `factor` times as long. */
export function slowerBy(factor) {
  return `(${slowWasm})(${factor});`;
}

/** In a worker: pays for computed time whenever WebAssembly calls out, reading a clock or sending a message among others, or returns. */
function slowWasm(factor) {
  // Atomics.wait needs shared memory; nothing is shared.
  const lock = new Int32Array(new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }).buffer);
  const now = performance.now.bind(performance);
  // Shorter waits are mostly overhead.
  const LEAST_MS = 0.1;
  let since = 0;
  let owed_ms = 0;

  function pay() {
    const at = now();
    owed_ms += (factor - 1) * (at - since);
    since = at;
    if (owed_ms < LEAST_MS) return;
    Atomics.wait(lock, 0, 0, owed_ms);
    since = now();
    owed_ms -= since - at;
  }

  const imported = (call) => function (...values) {
    pay();
    try {
      return call.apply(this, values);
    } finally {
      since = now();
    }
  };
  const exported = (call) => (...values) => {
    since = now();
    try {
      return call(...values);
    } finally {
      pay();
    }
  };
  const each = (object, change) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, typeof value === "function" ? change(value) : value]));

  const { Instance } = WebAssembly;
  WebAssembly.Instance = function (module, imports) {
    const wrapped = Object.fromEntries(Object.entries(imports).map(([name, functions]) => [name, each(functions, imported)]));
    return { exports: each(new Instance(module, wrapped).exports, exported) };
  };
}
