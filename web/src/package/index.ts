// The npm package: rooms of phones that run one language model, for your own page.
export type { Fault, MemberView, Message, ModelAddress, ModelEntry, Plan, Stage, UnitRange } from "../facade.js";
export type { ChatCompletion, ChatCompletionChunk, ChatCompletionRequest, Completions, FinishReason, Usage } from "./chat.js";
export { LinguaLinkedError } from "./error.js";
export { models, type Model } from "./models.js";
export type { Abortable, Observable } from "./observable.js";
export type { Classification, ClassifyRequest } from "../tasks/classify.js";
export type { SummarizeRequest, Summary } from "../tasks/summarize.js";
export type { TranslateRequest } from "../tasks/translate.js";
export { createSession, joinSession, type CreateOptions, type Phase, type Progress, type Session, type SessionOptions, type Stats } from "./session.js";
