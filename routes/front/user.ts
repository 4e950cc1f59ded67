/** Who a request belongs to, for the share of the traffic and for reads after writes. */
import { firstAuthorization } from "../common/headers.ts";

/**
 * Returns the e-mail in the token of a request, or its `sub`; undefined without a readable token. The signature is not
 * checked: the key only decides which system answers, and that system checks the token.
 */
export function userKeyOf(headers: Headers): string | undefined {
  const [, payload] = /^bearer\s+[\w-]+\.([\w-]+)\.[\w-]*$/i.exec(firstAuthorization(headers) ?? "") ?? [];
  if (payload === undefined || payload.length > 4096) return undefined;
  try {
    const bytes = Uint8Array.fromBase64(payload, { alphabet: "base64url" });
    const { email, sub } = JSON.parse(new TextDecoder().decode(bytes));
    const key = typeof email === "string" ? email : sub;
    return typeof key === "string" && key !== "" && key.isWellFormed() && !key.includes("\0")
      ? key.slice(0, 500)
      : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Returns the number of a user from 0 to 99, the same at each process and each time: users below the share are served
 * by this system. FNV-1a over the key.
 *
 * @example
 * ```ts
 * import { bucketOf } from "./user.ts";
 * if (bucketOf("a@example.com") !== bucketOf("a@example.com")) throw new Error("a user moves");
 * ```
 */
export function bucketOf(userKey: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(userKey)) hash = Math.imul(hash ^ byte, 0x01000193);
  // The low bits of FNV-1a are the weakest.
  return ((hash >>> 0) ^ (hash >>> 16)) % 100;
}
