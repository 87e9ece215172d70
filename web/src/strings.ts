// The language in force.
import { english, type Strings } from "./strings-en";
import { korean } from "./strings-ko";

const LANGUAGES = { en: english, ko: korean };
export type Language = keyof typeof LANGUAGES;
const KEY = "lingualinked.language";

/** Sentences of the language in force. */
export let say: Strings = english;

/** What was chosen here before, else what the browser prefers. */
export function preferredLanguage(): Language {
  const wanted = [remembered(), ...navigator.languages].map((tag) => tag?.slice(0, 2));
  return wanted.find((tag) => tag === "en" || tag === "ko") ?? "en";
}

export function useLanguage(language: Language): void {
  say = LANGUAGES[language];
  document.documentElement.lang = language;
}

export function rememberLanguage(language: Language): void {
  try {
    localStorage.setItem(KEY, language);
  } catch {
    // A browser without storage asks again next time.
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null;
  }
}
