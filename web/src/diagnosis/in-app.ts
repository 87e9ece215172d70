// Browsers inside other apps: shared links open in them, and they often cannot do what a room needs.

/** How apps call themselves in the user agent. */
const APPS: readonly (readonly [pattern: RegExp, name: string])[] = [
  [/KAKAOTALK/i, "KakaoTalk"],
  [/Instagram/, "Instagram"],
  [/Barcelona/, "Threads"],
  [/FB_IAB|FBAN|FBAV/, "Facebook"],
  [/\bLine\//, "LINE"],
  [/NAVER\(inapp/, "NAVER"],
  [/DaumApps/, "Daum"],
  [/MicroMessenger/, "WeChat"],
  [/BytedanceWebview|musical_ly|TikTok/, "TikTok"],
  [/Snapchat/, "Snapchat"],
  [/LinkedInApp/, "LinkedIn"],
  [/Twitter/, "X"],
];

/** An app's own browser on Android that does not say which app. */
const WEB_VIEW = /; wv\)/;

export interface InApp {
  /** The app's name; empty where it is unknown. */
  name: string;
  browser: "Chrome" | "Safari";
  /** An address that makes the app open its real browser, where the app has one. */
  escape: string | undefined;
}

/** The app whose browser shows this page. */
export function inAppBrowser(userAgent: string, address: string): InApp | undefined {
  const app = APPS.find(([pattern]) => pattern.test(userAgent));
  if (!app && !WEB_VIEW.test(userAgent)) return undefined;
  const name = app?.[1] ?? "";
  const browser = /iPhone|iPad|iPod/.test(userAgent) ? "Safari" : "Chrome";
  const escape = name === "KakaoTalk" ? `kakaotalk://web/openExternal?url=${encodeURIComponent(address)}` : undefined;
  return { name, browser, escape };
}
