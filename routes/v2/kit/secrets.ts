/** Random tokens, of which only hashes are stored; what is signed and sealed with a key made of SECRET_KEY. */

export const shareTokenPrefix = "share_";

/** 32 random bytes in base64url after `prefix`. */
export const drawToken = (prefix: string): string =>
  prefix + crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });

/** SHA-256: a token has 256 random bits, so nothing slower is needed. */
export async function hashToken(token: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
}

/** What a key is for: one of each purpose, made of the same secret, says nothing of the others. */
export type Purpose = "request" | "refresh" | "answer";

const encoder = new TextEncoder();
const keys = new Map<string, Promise<CryptoKey>>();

function deriveKey(secret: string, purpose: Purpose): Promise<CryptoKey> {
  const name = `${purpose} ${secret}`;
  const made = keys.get(name) ?? (async () => {
    const base = await crypto.subtle.importKey("raw", encoder.encode(secret), "HKDF", false, ["deriveKey"]);
    const hkdf = {
      name: "HKDF",
      hash: "SHA-256",
      salt: new Uint8Array(),
      info: encoder.encode(`v2 ${purpose}`),
    };
    return purpose === "answer"
      ? await crypto.subtle.deriveKey(hkdf, base, { name: "AES-GCM", length: 256 }, false, [
        "encrypt",
        "decrypt",
      ])
      : await crypto.subtle.deriveKey(hkdf, base, { name: "HMAC", hash: "SHA-256" }, false, [
        "sign",
        "verify",
      ]);
  })();
  keys.set(name, made);
  return made;
}

/** HMAC-SHA-256 of a text. */
export async function sign(
  secret: string,
  purpose: "request" | "refresh",
  text: string,
): Promise<Uint8Array> {
  const key = await deriveKey(secret, purpose);
  return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
}

/** Whether `signature` is of this text: takes the same time wherever it differs. */
export async function hasSigned(
  secret: string,
  purpose: "request" | "refresh",
  text: string,
  signature: Uint8Array<ArrayBuffer>,
): Promise<boolean> {
  return await crypto.subtle.verify(
    "HMAC",
    await deriveKey(secret, purpose),
    signature,
    encoder.encode(text),
  );
}

const ivBytes = 12;

/** Encrypts a text: AES-GCM, in base64. */
export async function sealText(secret: string, purpose: "answer", text: string): Promise<string> {
  const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
  const key = await deriveKey(secret, purpose);
  const sealed = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, encoder.encode(text));
  return iv.toBase64() + new Uint8Array(sealed).toBase64();
}

/** A text that was sealed; undefined for one that was sealed with another secret. */
export async function openText(
  secret: string,
  purpose: "answer",
  sealed: string,
): Promise<string | undefined> {
  const bytes = Uint8Array.fromBase64(sealed);
  const key = await deriveKey(secret, purpose);
  try {
    const iv = bytes.subarray(0, ivBytes);
    const text = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, bytes.subarray(ivBytes));
    return new TextDecoder().decode(text);
  } catch {
    return undefined;
  }
}
