/** Random tokens, of which only hashes are stored. */

export const shareTokenPrefix = "share_";
export const refreshTokenPrefix = "refresh_";

/** 32 random bytes in base64url after `prefix`. */
export const drawToken = (prefix: string): string =>
  prefix + crypto.getRandomValues(new Uint8Array(32)).toBase64({ alphabet: "base64url", omitPadding: true });

/** SHA-256: a token has 256 random bits, so nothing slower is needed. */
export async function hashToken(token: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(token)));
}
