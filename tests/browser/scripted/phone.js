// Stands in for wasm/lingualinked.js in scenes.mjs: phones that do nothing but tell what a script gives them.
export default async function () {}

export async function capabilities() {
  return globalThis.scriptedCapabilities;
}

export const chunkFolders = () => ["lingualinked", "chunks"];

export class Phone {
  constructor(options) {
    this.options = options;
    this.stream = new ReadableStream({ start: (controller) => (this.controller = controller) });
    globalThis.scriptedPhone = this;
  }
  static reloaded() {}
  events() {
    return this.stream;
  }
  emit(event) {
    this.controller.enqueue(event);
  }
  async host() {
    if (globalThis.scriptedReading) await new Promise(() => {});
    return { room: "abcdefghij", invitation: "room=abcdefghij.aebagbafaydqqcikbmga2dqpca.pbjgm2tqpf6x2jyrmdqxs5dfna" };
  }
  async join() {
    if (globalThis.scriptedRefusal) throw globalThis.scriptedRefusal;
  }
  begin() {}
  generate() {
    return 1;
  }
  stop() {}
  leave() {}
}
