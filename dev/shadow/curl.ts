/** Requests as curl commands. */
import { hasDotSegments } from "../../comparison/paths.ts";
import { headerOf, type Step, targetOf } from "../../comparison/request.ts";

const encoder = new TextEncoder();

function quoteBytes(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    text += byte === 39 || byte === 92
      ? `\\${String.fromCharCode(byte)}`
      : byte >= 32 && byte < 127
      ? String.fromCharCode(byte)
      : `\\x${byte.toString(16).padStart(2, "0")}`;
  }
  return `$'${text}'`;
}

/** Quotes a word for a POSIX shell. Words with `${name}` get double quotes, so that the shell replaces the variable. */
function quoteWord(text: string): string {
  // deno-lint-ignore no-control-regex -- plain quotes would not show them
  if (/[\x00-\x1f\x7f]/.test(text)) return quoteBytes(encoder.encode(text));
  if (/\$\{\w+\}/.test(text)) return `"${text.replace(/[\\"`]|\$(?!\{\w+\})/g, "\\$&")}"`;
  return /^[\w@%+=:,./?&-]+$/.test(text) && !/[&?]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Returns the request as a curl command. Secrets stay `${token}` and `${password}`. */
export function toCurl(step: Step, origin: string): string {
  const words = ["curl", "-i"];
  if (hasDotSegments(step.path)) words.push("--path-as-is");
  if (step.method === "HEAD") words.push("-I");
  else if (step.method !== "GET") words.push("-X", step.method);
  for (const [name, value] of step.headers) {
    words.push("-H", quoteWord(value === "" ? `${name};` : `${name}: ${value}`));
  }
  if (step.body !== null) {
    const body = typeof step.body === "string" ? quoteWord(step.body) : quoteBytes(step.body);
    if (headerOf(step, "content-type") === undefined) words.push("-H", "'Content-Type:'");
    words.push("--data-binary", body === "" ? "''" : body);
  }
  words.push(quoteWord(origin + targetOf(step)));
  return words.join(" ");
}
