/**
 * Parses and compares answers in pieces with long rests between them. The event loop answers clients as well, and a
 * large answer takes a tenth of a second.
 */
import { type Answer, readBody } from "../../comparison/answer.ts";
import type { TextAnswer } from "./shadow_ask.ts";

/** A rest is this many times as long as the work before it. */
const restFactor = 9;

function rest(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, ms);
    signal.addEventListener("abort", end);
  });
}

/** Does a piece of work, and rests after it. */
export async function paced<T>(work: () => T, signal: AbortSignal): Promise<T> {
  const begunAt = performance.now();
  const result = work();
  await rest((performance.now() - begunAt) * restFactor, signal);
  return result;
}

/** Parses answers to one request. Equal bodies are not parsed and are left out, since there is nothing to compare. */
export async function parseAnswers(answers: readonly TextAnswer[], signal: AbortSignal): Promise<Answer[]> {
  const isEqual = answers.every(({ text, headers }) =>
    text === answers[0]!.text && headers.get("content-type") === answers[0]!.headers.get("content-type")
  );
  const parsed = new Map<string, Answer["body"]>();
  for (const { text, headers } of isEqual ? [] : answers) {
    const type = headers.get("content-type") ?? "";
    const key = `${type}\n${text}`;
    if (!parsed.has(key)) parsed.set(key, await paced(() => readBody(text, type), signal));
  }
  return answers.map(({ status, headers, text }) => ({
    status,
    headers,
    body: parsed.get(`${headers.get("content-type") ?? ""}\n${text}`),
  }));
}
