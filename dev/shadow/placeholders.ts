/** Placeholders in requests, which each backend fills with its own tokens and ids. */
import type { Step } from "../../comparison/request.ts";

/** Saved values of one backend by name, such as tokens and ids. */
export type Variables = Map<string, string>;

const placeholder = /\$\{([^}]+)\}/g;

/** Lists the names of the placeholders in a request. */
export function namesIn(step: Step): string[] {
  const texts = [step.path, ...step.query, ...step.headers.map(([, value]) => value)];
  if (typeof step.body === "string") texts.push(step.body);
  return texts.flatMap((text) => [...text.matchAll(placeholder)].map(([, name]) => name!));
}

/** Replaces placeholders by the values of a backend. Unknown names stay unchanged. */
export function fill(text: string, variables: Variables): string {
  return text.replace(placeholder, (whole, name: string) => variables.get(name) ?? whole);
}

const encoder = new TextEncoder();

/** Returns the body as bytes with its placeholders replaced. */
export function bodyBytes(body: Step["body"], variables: Variables): Uint8Array<ArrayBuffer> | null {
  return typeof body === "string" ? encoder.encode(fill(body, variables)) : body;
}
