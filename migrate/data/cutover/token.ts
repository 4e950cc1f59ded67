/** Tokens of the old backend: HS256 with SECRET_KEY. */
import { Buffer } from "node:buffer";
import { createHmac, timingSafeEqual } from "node:crypto";

const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
const signatureOf = (text: string, secret: string): Buffer =>
  createHmac("sha256", secret).update(text).digest();

/** Signs a token as both backends do. */
export function signToken(payload: { sub: string; email: string }, secret: string, seconds: number): string {
  const exp = Math.floor(Date.now() / 1000) + seconds;
  const text = `${encode({ alg: "HS256", typ: "JWT" })}.${encode(Object.assign({ exp }, payload))}`;
  return `${text}.${signatureOf(text, secret).toString("base64url")}`;
}

/** Reports whether a token was signed with this key. */
export function isSignedWith(token: string, secret: string): boolean {
  const [head, payload, signature] = token.split(".");
  if (head === undefined || payload === undefined || signature === undefined) return false;
  const wanted = signatureOf(`${head}.${payload}`, secret);
  const given = Buffer.from(signature, "base64url");
  return given.length === wanted.length && timingSafeEqual(given, wanted);
}
