/** Random tokens, of which only hashes are stored, and keys that are derived from SECRET_KEY. */

export const shareTokenPrefix = "share_";

/** Returns `prefix` with 32 random bytes in base64url. */
export const createToken = (prefix: string): string =>
  prefix + crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });

/** Returns the SHA-256 of a token. A slow hash is not needed, because a token has 256 random bits. */
export async function hashToken(token: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
}

/** The use of a signature. Each has its own key, which reveals nothing about the others. */
export type SignaturePurpose = "request" | "refresh";

/** Signs and encrypts texts with keys that are derived from SECRET_KEY. */
export interface Secrets {
  /** Returns the HMAC-SHA-256 of a text. */
  sign(purpose: SignaturePurpose, text: string): Promise<Uint8Array>;
  /** Reports whether `signature` belongs to the text. The time does not depend on where they differ. */
  verify(purpose: SignaturePurpose, text: string, signature: Uint8Array<ArrayBuffer>): Promise<boolean>;
  /** Encrypts the text of a response with AES-GCM, as base64. */
  encrypt(text: string): Promise<string>;
  /** Decrypts a text. Returns undefined if it was encrypted with another secret. */
  decrypt(encrypted: string): Promise<string | undefined>;
}

const encoder = new TextEncoder();
const ivBytes = 12;

/** Creates the secrets. Each key is derived at its first use. */
export function createSecrets(secret: string): Secrets {
  const keys = new Map<string, Promise<CryptoKey>>();

  async function deriveKey(purpose: SignaturePurpose | "answer"): Promise<CryptoKey> {
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
  }

  function getKey(purpose: SignaturePurpose | "answer"): Promise<CryptoKey> {
    const key = keys.get(purpose) ?? deriveKey(purpose);
    keys.set(purpose, key);
    return key;
  }

  return {
    async sign(purpose, text) {
      const key = await getKey(purpose);
      return new Uint8Array(await crypto.subtle.sign("HMAC", key, encoder.encode(text)));
    },
    async verify(purpose, text, signature) {
      return await crypto.subtle.verify("HMAC", await getKey(purpose), signature, encoder.encode(text));
    },
    async encrypt(text) {
      const iv = crypto.getRandomValues(new Uint8Array(ivBytes));
      const key = await getKey("answer");
      const encrypted = await crypto.subtle.encrypt({ name: "AES-GCM", iv }, key, encoder.encode(text));
      return iv.toBase64() + new Uint8Array(encrypted).toBase64();
    },
    async decrypt(encrypted) {
      const bytes = Uint8Array.fromBase64(encrypted);
      const key = await getKey("answer");
      try {
        const iv = bytes.subarray(0, ivBytes);
        const text = await crypto.subtle.decrypt({ name: "AES-GCM", iv }, key, bytes.subarray(ivBytes));
        return new TextDecoder().decode(text);
      } catch {
        return undefined;
      }
    },
  };
}
