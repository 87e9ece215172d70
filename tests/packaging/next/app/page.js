"use client";

import { useEffect, useState } from "react";

export default function Page() {
  const [text, setText] = useState("");
  useEffect(() => {
    const left = new AbortController();
    const answer = async () => {
      // In the browser only: rooms need one.
      const { createSession } = await import("lingualinked");
      const session = await createSession({ name: "my page", signal: left.signal });
      await session.begin();
      const messages = [{ role: "user", content: "Why does bread rise?" }];
      for await (const { choices } of await session.chat.completions.create({ messages, stream: true })) {
        setText((before) => before + (choices[0].delta.content ?? ""));
      }
    };
    answer().catch((error) => left.signal.aborted || console.error(error));
    return () => left.abort();
  }, []);
  return <main>{text}</main>;
}
