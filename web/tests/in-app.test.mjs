// Browsers inside apps are known by their user agents; real browsers are left alone.
import { test } from "node:test";
import assert from "node:assert/strict";
import { load } from "./load.mjs";

const { inAppBrowser } = await load("diagnosis/in-app.ts");
const ADDRESS = "https://192.168.0.7:8443/#room=4f1d0c9be2a76835";
const IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)";
const ANDROID = "Mozilla/5.0 (Linux; Android 15; SM-S921N) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 Chrome/140.0.0.0 Mobile Safari/537.36";

for (const [name, browser, userAgent] of [
  ["KakaoTalk", "Safari", `${IPHONE} Mobile/15E148 KAKAOTALK 25.4.0`],
  ["KakaoTalk", "Chrome", `${ANDROID} KAKAOTALK/25.4.0 (INAPP)`],
  ["Instagram", "Safari", `${IPHONE} Mobile/22F76 Instagram 380.0.0 (iPhone16,1; iOS 18_5)`],
  ["Facebook", "Chrome", `${ANDROID} [FB_IAB/FB4A;FBAV/500.0.0.0;]`],
  ["LINE", "Safari", `${IPHONE} Mobile/15E148 Safari Line/15.6.0`],
  ["NAVER", "Chrome", `${ANDROID} NAVER(inapp; search; 1000; 12.9.0)`],
  ["", "Chrome", ANDROID.replace("SM-S921N", "SM-S921N Build/AP3A; wv")],
]) {
  test(`${name || "some app"}, where ${browser} is the real browser`, () => {
    const found = inAppBrowser(userAgent, ADDRESS);
    assert.equal(found?.name, name);
    assert.equal(found.browser, browser);
  });
}

test("KakaoTalk is asked to open the whole link, its fragment included, elsewhere", () => {
  const { escape } = inAppBrowser(`${ANDROID} KAKAOTALK/25.4.0 (INAPP)`, ADDRESS);
  assert.equal(new URL(escape).searchParams.get("url"), ADDRESS);
});

test("Chrome, Safari, Samsung Internet, Edge and Firefox are browsers", () => {
  for (const browser of [
    ANDROID.replace("Version/4.0 ", ""),
    `${IPHONE} Version/18.5 Mobile/15E148 Safari/604.1`,
    ANDROID.replace("Version/4.0 ", "SamsungBrowser/28.0 "),
    `${IPHONE} Version/18.5 EdgiOS/140.0 Mobile/15E148 Safari/604.1`,
    "Mozilla/5.0 (Android 15; Mobile; rv:143.0) Gecko/143.0 Firefox/143.0",
  ]) assert.equal(inAppBrowser(browser, ADDRESS), undefined, browser);
});
