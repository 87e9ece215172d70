// Every view of the page in every state, from a scripted room: the page is real, its phone, the other phones and the models are not.
import { readFile } from "node:fs/promises";

const MODELS = [
  { id: "smollm2-135m", name: "SmolLM2-135M-Instruct.Q4_1", file: "/models/smollm2-135m/file", manifest: "/models/smollm2-135m/manifest", file_bytes: 98_362_432 },
  { id: "large", name: "Llama-3.2-3B-Instruct.Q4_K_M", file: "/models/large/file", manifest: "/models/large/manifest", file_bytes: 2_019_377_696 },
];
const CATALOGUE = [{ name: "Qwen3 0.6B, Q8_0", address: "https://models.example.org/Qwen3-0.6B-Q8_0.gguf", file_bytes: 639_446_688, licence: "Apache-2.0" }];
/** A phone that can do everything. */
const CAPABLE = { secureContext: true, dataChannels: true, opfs: true, webgpu: true, adapter: "example adapter", fallbackAdapter: false, cpu: "6 cores, SIMD", defaultBudgetBytes: 2 ** 30, fault: null };
const ANDROID = "Mozilla/5.0 (Linux; Android 15; SM-S921N; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36";
const INVITATION = "#room=abcdefghij.aebagbafaydqqcikbmga2dqpca.pbjgm2tqpf6x2jyrmdqxs5dfna";
const MB = 1e6;

const NAMES = { en: ["Blue Otter", "Green Heron", "Silver Hare"], ko: ["파란 수달", "초록 왜가리", "은빛 토끼"] };
const TEXT = {
  en: {
    question: "Why does bread rise?",
    answer: "**Yeast** eats the sugar in the dough and gives off carbon dioxide. The *gluten* in the flour forms a net that holds the gas, so the dough grows.\n\n1. Mix flour, water, salt and yeast.\n2. Let it rest for an hour.\n3. Bake it hot.",
  },
  ko: {
    question: "빵은 왜 부풀어 오르나요?",
    answer: "**효모**가 반죽 속의 당을 먹고 이산화탄소를 내보냅니다. 밀가루의 *글루텐*이 그물처럼 기체를 붙잡아 반죽이 커집니다.\n\n1. 밀가루, 물, 소금, 효모를 섞습니다.\n2. 한 시간 쉬게 합니다.\n3. 뜨겁게 굽습니다.",
  },
};
// What a model may write, and what it should not get away with.
const MARKDOWN = `## Bread

| flour | water |
|---|---|
| 500 g | 350 g |

> Knead \`slowly\` & **long**.

- one
  1. two
- [x] three

\`\`\`js
for (const loaf of loaves) bake(loaf, { degrees: 230, minutes: 45, steam: true, oven: "the one in the kitchen" });
\`\`\`

<img src=x onerror="alert(1)"><script>alert(1)</script> ![a picture](https://example.org/x.png)
[a bad link](javascript:alert(1)), [a good one](https://example.org/?a=1&b=2), <b>bold</b>

---`;
const RUNS = [[[0, 13], [60, 62]], [[13, 37]], [[37, 60]]];

const member = (language, id, { measured = true, loaded = 0, placed = false, hidden = false, lowBattery = false, budget = 420 * MB } = {}) => ({
  member: id,
  name: NAMES[language][id],
  engine: placed ? (id === 2 ? "Cpu" : "Gpu") : null,
  measured: measured ? [{ engine: "Gpu", variant: "example adapter" }] : [],
  budget_bytes: budget,
  units: placed ? RUNS[id].map(([start, end]) => ({ start, end })) : [],
  ms_per_token: loaded === 1 ? 21.4 + 9 * id : null,
  hidden,
  rtt_ms: id === 0 ? null : 4.2 * id,
  loaded_bytes: Math.round(loaded * (34 + 3 * id) * MB),
  assigned_bytes: placed ? (34 + 3 * id) * MB : 0,
  fetched_bytes: Math.round(loaded * (34 + 3 * id) * MB),
  from_room_bytes: 0,
  low_battery: lowBattery,
  failed_sources: 0,
});
const members = (list) => ({ type: "members", members: list });
const capacity = (needed, offered, measured = true) => ({ type: "capacity", neededBytes: needed * MB, offeredBytes: offered * MB, measured });
const unitsOf = ([start, end]) => ({ start, end });
const plannedAs = (epoch, runs) => ({
  type: "planned",
  plan: {
    epoch,
    stages: [[0, 0], [1, 0], [2, 0], [0, 1]].map(([id, run]) => ({ member: id, units: unitsOf(runs[id][run]), engine: id === 2 ? "Cpu" : "Gpu" })),
    held: [{ member: 0, units: unitsOf([0, 17]) }, { member: 1, units: unitsOf([11, 41]) }, { member: 2, units: unitsOf(runs[2][0]) }],
    class: { wire: "F16Scaled", chunk_columns: 32, context_columns: 1024 },
    predicted_ms_per_token: 96.4,
    lower_bound_ms_per_token: 91.8,
    objective_ms: 14_200,
    lower_bound_objective_ms: 14_100,
    bytes_per_token: 3462,
  },
  unitKinds: [],
});
const planned = plannedAs(1, RUNS);
/** The second phone was slower than it said. */
const movedPlan = plannedAs(2, [[[0, 15], [60, 62]], [[15, 34]], [[34, 60]]]);
const explained = (epoch) => ({
  type: "explained",
  epoch,
  explanation: {
    phones: [
      { member: 0, role: { kind: "host" }, more_memory_saves_ms: 0, busy_ms: 5200 },
      { member: 1, role: { kind: "saves", ms: 12.4 }, more_memory_saves_ms: 3.1, busy_ms: 4100 },
      { member: 2, role: { kind: "needed" }, more_memory_saves_ms: 0, busy_ms: 4900 },
    ],
    alone: { kind: "does_not_fit", short_bytes: 61 * MB },
  },
});
const failed = (code, message, remedy, fatal = false) => ({ type: "failed", fault: { code, message, remedy }, fatal });

/** A page in one state, by what a person did and the room told. */
class Scene {
  constructor(page, language) {
    this.page = page;
    this.language = language;
  }
  three(options) {
    return members([0, 1, 2].map((id) => member(this.language, id, { ...options, placed: true })));
  }
  async start() {
    await this.page.waitForSelector("button.primary:not(:disabled)");
  }
  async host(...events) {
    await this.start();
    await this.page.click("button.primary");
    await this.page.waitForSelector(".room");
    await this.tell(...events);
  }
  async guest(...events) {
    await this.start();
    await this.page.fill("#name", NAMES[this.language][1]);
    await this.page.click("button.primary");
    await this.page.waitForSelector(".room");
    await this.tell(...events);
  }
  async ready() {
    await this.host(members([0, 1, 2].map((id) => member(this.language, id))), capacity(300, 1200), planned, this.three({ loaded: 1 }), { type: "ready", epoch: 1 });
  }
  async asked(share) {
    await this.ready();
    const { question, answer } = TEXT[this.language];
    await this.page.fill("textarea", question);
    await this.page.keyboard.press("Enter");
    const words = answer.slice(0, Math.round(answer.length * share)).match(/\s*\S+/gu) ?? [];
    await this.tell(...words.map((text, index) => ({ type: "token", question: 1, id: index, atMs: 900 + 100 * index, text })));
    return { words, answer };
  }
  async answered() {
    const { words, answer } = await this.asked(1);
    await this.finished(words.length, answer);
  }
  async finished(tokens, text) {
    await this.tell({ type: "finished", question: 1, tokens, reason: "stop", msToFirstToken: 900, tokPerS: 9.7, text, ids: [], promptTokens: 9, promptIds: [], startLogLikelihood: 0 });
    await this.page.evaluate(() => document.activeElement?.blur());
  }
  async tell(...events) {
    for (const event of events) await this.page.evaluate((event) => globalThis.scriptedPhone.emit(event), event);
    // Drawn.
    await this.page.evaluate(() => new Promise((drawn) => requestAnimationFrame(() => requestAnimationFrame(drawn))));
  }
}

/** Every view and state, by name. */
export const SCENES = {
  start: { run: (scene) => scene.start() },
  "start-settings": { run: async (scene) => { await scene.start(); await scene.page.click("summary"); await scene.page.fill("#link", "hello there"); await scene.page.click("form:last-of-type button"); } },
  "start-stored": {
    run: async (scene) => {
      await scene.start();
      await scene.page.evaluate(async (files) => {
        let folder = await navigator.storage.getDirectory();
        for (const name of ["lingualinked", "chunks"]) folder = await folder.getDirectoryHandle(name, { create: true });
        for (const name of files) {
          const file = await (await folder.getFileHandle(name, { create: true })).createWritable();
          await file.write(new Uint8Array(2_400_000));
          await file.close();
        }
      }, ["aa", "bb"]);
      await scene.page.locator("summary").last().click();
      await scene.page.waitForSelector(".stored");
    },
  },
  "start-file": { run: async (scene) => { await scene.start(); await scene.page.selectOption("#model", "file"); await scene.page.waitForSelector("#file:visible"); } },
  "start-elsewhere": { run: async (scene) => { await scene.start(); await scene.page.selectOption("#model", { label: CATALOGUE[0].name }); } },
  "start-cpu": { capabilities: { ...CAPABLE, webgpu: false, adapter: null, opfs: false }, run: (scene) => scene.start() },
  "start-unable": {
    capabilities: { ...CAPABLE, dataChannels: false, fault: { code: "browser.no_webrtc", message: "this browser cannot connect to other phones (WebRTC is missing)", remedy: "Use a current Chrome, Safari, Edge or Firefox, and allow WebRTC in its settings." } },
    run: (scene) => scene.page.waitForSelector(".fault"),
  },
  "start-insecure": {
    capabilities: { ...CAPABLE, secureContext: false, webgpu: false, adapter: null, opfs: false, fault: { code: "browser.insecure_context", message: "this page was not opened over a secure connection", remedy: "Open the page with https:// or on localhost." } },
    run: (scene) => scene.page.waitForSelector(".fault"),
  },
  "join-in-app": { hash: INVITATION, userAgent: `${ANDROID} KAKAOTALK/11.2.0 (INAPP)`, run: (scene) => scene.start() },
  "join-failed": {
    hash: INVITATION,
    run: async (scene) => {
      await scene.start();
      await scene.page.evaluate(() => {
        globalThis.scriptedRefusal = { code: "rtc.failed", message: "the phones could not connect to each other: the channels did not open", remedy: "Put the phones on the same Wi-Fi and join again." };
      });
      await scene.page.click("button.primary");
      await scene.page.waitForSelector(".details[open] strong");
    },
  },
  "host-reading": {
    run: async (scene) => {
      await scene.page.evaluate(() => (globalThis.scriptedReading = true));
      await scene.host({ type: "reading", bytesDone: 840 * MB, bytesTotal: 2020 * MB });
    },
  },
  "host-measuring": { run: (scene) => scene.host(members([member(scene.language, 0, { measured: false })])) },
  "host-short": { run: (scene) => scene.host(members([member(scene.language, 0)]), capacity(780, 400)) },
  "host-enough": { run: (scene) => scene.host(members([0, 1, 2].map((id) => member(scene.language, id))), capacity(780, 1120)) },
  loading: { run: async (scene) => { await scene.host(planned, scene.three({ loaded: 0.1 })); await scene.page.waitForTimeout(600); await scene.tell(scene.three({ loaded: 0.42 })); } },
  ready: { run: async (scene) => { await scene.ready(); await scene.page.evaluate(() => document.activeElement?.blur()); } },
  typing: { run: async (scene) => { await scene.answered(); await scene.page.fill("textarea", `${TEXT[scene.language].question}\n${TEXT[scene.language].question}`); } },
  answering: { run: (scene) => scene.asked(0.5) },
  answered: { run: (scene) => scene.answered() },
  "answered-markdown": {
    run: async (scene) => {
      await scene.asked(0);
      for (const [id, text] of (MARKDOWN.match(/.{1,7}/gsu) ?? []).entries()) await scene.tell({ type: "token", question: 1, id, atMs: 900, text });
      await scene.finished(99, MARKDOWN);
    },
  },
  sentiment: {
    run: async (scene) => {
      await scene.ready();
      await scene.page.locator(".task").selectOption("sentiment");
      await scene.page.fill("textarea", { en: "I loved every minute of it.", ko: "처음부터 끝까지 정말 좋았어요." }[scene.language]);
      await scene.page.keyboard.press("Enter");
      // Two labels, after the text and after three texts without content.
      for (const startLogLikelihood of [-1.2, -3.1, -2, -2, -2, -2, -2, -2]) await scene.tell({ type: "finished", question: 1, tokens: 0, reason: "length", text: "", ids: [], promptTokens: 9, promptIds: [], startLogLikelihood });
      await scene.page.waitForSelector(".markdown strong");
      await scene.page.evaluate(() => document.activeElement?.blur());
    },
  },
  "answered-details": {
    run: async (scene) => {
      await scene.answered();
      await scene.tell(movedPlan, scene.three({ loaded: 1 }), { type: "ready", epoch: 2 }, explained(2));
      await scene.page.click(".more > .details > summary");
    },
  },
  "host-late": { run: async (scene) => { await scene.answered(); await scene.tell(members([...[0, 1].map((id) => member(scene.language, id, { placed: true, loaded: 1, lowBattery: id === 1 })), member(scene.language, 2, { hidden: true })])); } },
  "member-lost": {
    run: async (scene) => {
      await scene.asked(0.4);
      await scene.tell(
        failed("member.lost", "phone 2 left the room", "Load the model again with the phones that are left, or invite the phone again."),
        members([0, 1].map((id) => member(scene.language, id))), capacity(780, 900),
      );
    },
  },
  leaving: { run: async (scene) => { await scene.ready(); await scene.page.click("header button"); } },
  join: { hash: INVITATION, run: (scene) => scene.start() },
  "guest-waiting": { hash: INVITATION, run: (scene) => scene.guest(members([0, 1].map((id) => member(scene.language, id)))) },
  "guest-ready": { hash: INVITATION, run: (scene) => scene.guest(planned, scene.three({ loaded: 1 }), { type: "ready", epoch: 1 }) },
  over: { hash: INVITATION, run: (scene) => scene.guest(failed("host.lost", "the phone that started the room is gone", "Start a new room, or join another one.", true)) },
};

const SCRIPTED_PHONE = await readFile(new URL("phone.js", import.meta.url), "utf8");

/** Opens the page of the server at `url` in one of `SCENES`. `complain` hears of errors on the page. */
export async function openScene(browser, { url, name, language, viewport, colorScheme, complain }) {
  const { hash = "", capabilities = CAPABLE, userAgent, run } = SCENES[name];
  const context = await browser.newContext({ viewport, colorScheme, locale: language, reducedMotion: "reduce", ...(userAgent && { userAgent }) });
  await context.route("**/wasm/lingualinked.js", (route) => route.fulfill({ contentType: "text/javascript", body: SCRIPTED_PHONE }));
  await context.route("**/api/models", (route) => route.fulfill({ json: MODELS }));
  await context.route("**/api/catalogue", (route) => route.fulfill({ json: CATALOGUE }));
  await context.route("**/models/*/manifest", (route) => route.fulfill({ json: { chunks: [{ bytes: 31_200_000, sha256: "aa" }] } }));
  const page = await context.newPage();
  page.on("pageerror", (error) => complain(error.stack));
  page.on("console", (message) => message.type() === "error" && complain(message.text()));
  await page.addInitScript((found) => (globalThis.scriptedCapabilities = found), capabilities);
  page.setDefaultTimeout(5000);
  await page.goto(`${url}/${hash}`);
  await run(new Scene(page, language));
  return page;
}
