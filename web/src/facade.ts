// The one typed API of the Rust module.

/** Stable code, plain sentence, remedy. */
export interface Fault {
  code: string;
  message: string;
  remedy: string;
}

/** A model on this page's server. */
export interface ModelEntry {
  id: string;
  name: string;
  file: string;
  manifest: string;
  file_bytes: number;
}

/** What a room may be started with: a model of this page's server, a file of this device, or one on another site. */
export type HostedModel = Pick<ModelEntry, "id" | "file" | "manifest"> | Blob | ModelAddress;

/** A GGUF file on another site, which must allow pages of others to read it (CORS) in parts (Range). */
export interface ModelAddress {
  address: string;
  /** Of the whole file, 64 hexadecimal digits. */
  sha256?: string;
}

/** A model on another site that this page's server recommends. */
export interface CatalogueEntry extends ModelAddress {
  name: string;
  file_bytes: number;
  licence: string;
}

export interface PhoneOptions {
  name: string;
  engine?: "auto" | "gpu" | "cpu";
  budgetBytes?: number;
  /** Downloads cost: nothing is fetched that the plan does not need. Unless given, what the browser says of the connection. */
  saveData?: boolean;
  client?: string;
  modelOrigins?: string[];
  workerUrl?: string;
  contextColumns?: number;
  wire?: "f32" | "f16";
}

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Request {
  prompt?: string;
  messages?: Message[];
  /** What the answer begins with; the model goes on from there. `startLogLikelihood` says how likely it found it. */
  answerStart?: string;
  /** Of the model's own, besides `answerStart`. */
  maxTokens?: number;
  temperature?: number;
  topK?: number;
  topP?: number;
  minP?: number;
  repeatPenalty?: number;
  seed?: number;
}

export interface UnitRange {
  start: number;
  end: number;
}

export interface Stage {
  member: number;
  units: UnitRange;
  engine: "Cpu" | "Gpu";
}

export interface Plan {
  epoch: number;
  stages: Stage[];
  /** What members keep loaded, their stages included. */
  held: { member: number; units: UnitRange }[];
  class: { wire: string; chunk_columns: number; context_columns: number };
  predicted_ms_per_token: number;
  lower_bound_ms_per_token: number;
  /** What the plan was chosen by, and the least that any plan could have, ms per request. */
  objective_ms: number;
  lower_bound_objective_ms: number;
  /** Answers in flight at the same time. */
  slots: number;
  /** Between phones. */
  bytes_per_token: number;
}

/** Times are per token. */
export type Role = { kind: "host" | "needed" | "spared" | "hidden" | "too_small" } | { kind: "saves" | "would_slow"; ms: number };

export interface PhoneRole {
  member: number;
  role: Role;
  /** One more GiB on it would save so much per token. */
  more_memory_saves_ms: number;
  /** Computes so long for one request. */
  busy_ms: number;
}

/** The host without the others. */
export type Alone =
  | { kind: "is_the_plan"; saves_ms?: number | null }
  | { kind: "slower"; ms: number }
  | { kind: "does_not_fit"; short_bytes: number };

export interface Explanation {
  phones: PhoneRole[];
  alone: Alone;
}

export interface MemberView {
  member: number;
  name: string;
  engine: "Cpu" | "Gpu" | null;
  measured: { engine: "Cpu" | "Gpu"; variant: string }[];
  budget_bytes: number;
  units: UnitRange[];
  ms_per_token: number | null;
  /** Its page is behind others, where its browser may stop it. */
  hidden: boolean;
  /** It is low on battery, and not charging. */
  low_battery: boolean;
  rtt_ms: number | null;
  loaded_bytes: number;
  assigned_bytes: number;
  /** From the network. */
  fetched_bytes: number;
  /** From other phones of the room. */
  from_room_bytes: number;
  /** Phones that did not give the weights they said they have. */
  failed_sources: number;
}

export type SessionEvent =
  /** Host: a model that the server has no list of hashes of is read once, before guests may come. */
  | { type: "reading"; bytesDone: number; bytesTotal: number }
  | { type: "joined"; member: number }
  | { type: "members"; members: MemberView[] }
  | { type: "capacity"; neededBytes: number; offeredBytes: number; measured: boolean }
  | { type: "planned"; plan: Plan; unitKinds: string[] }
  | { type: "ready"; epoch: number }
  /** Host: why the plan is as it is. */
  | { type: "explained"; epoch: number; explanation: Explanation }
  /** An answer goes on that was begun before the host's page was loaded again; `text` is what it had. */
  | { type: "resumed"; question: number; ids: number[]; text: string }
  | { type: "token"; question: number; id: number; atMs: number; text: string }
  | {
      type: "finished";
      question: number;
      tokens: number;
      reason: "stop" | "length" | "cancelled";
      msToFirstToken: number;
      tokPerS: number;
      text: string;
      ids: number[];
      promptTokens: number;
      /** Host. */
      promptIds?: number[];
      startLogLikelihood: number;
    }
  /** There will be no answer to a question of this page, or no more of it. */
  | { type: "refused"; question: number; fault: Fault }
  /** The room makes a new plan by itself; an answer being written goes on. */
  | { type: "interrupted"; fault: Fault }
  | { type: "failed"; fault: Fault; fatal: boolean }
  | { type: "left" };

/** This page as a phone of a room. Everything rejects with a {@link Fault}. */
export interface Phone {
  events(): ReadableStream<SessionEvent>;
  /** The invitation is the fragment of the room's link and contains its secret. */
  host(model: HostedModel): Promise<{ room: string; invitation: string }>;
  /** Opens the room again that the phone hosted before its tab was loaded again, with the plan and the answer it had. */
  resume(): Promise<{ room: string; invitation: string }>;
  /** By the room's link or its fragment; resolves with this phone's number. */
  join(link: string): Promise<number>;
  begin(): void;
  /** Asks; returns the question's number, by which events name it. Several may be open. */
  generate(request: Request): number;
  stop(question: number): void;
  leave(): void;
}

export interface Capabilities {
  secureContext: boolean;
  dataChannels: boolean;
  opfs: boolean;
  webgpu: boolean;
  adapter: string | null;
  fallbackAdapter: boolean;
  cpu: string;
  defaultBudgetBytes: number;
  fault: Fault | null;
}

export interface RustModule {
  Phone: {
    new (options: PhoneOptions): Phone;
    /** The phone of this tab before it was loaded again, if it hosted a room then. */
    reloaded(): Phone | undefined;
  };
  /** Folders from the root of the origin private file system to the files that hold chunks, each named by its hash. */
  chunkFolders(): string[];
  capabilities(workerScript?: string): Promise<Capabilities>;
}
