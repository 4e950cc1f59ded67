/**
 * JWTs that this backend and the old backend sign and accept: HS256 with SECRET_KEY; `sub`, `email` and
 * `exp`.
 */
import { errors, jwtVerify, SignJWT } from "jose";

export interface TokenPayload {
  /** The user's id in the backend that signed the token. It is not used to find the user. */
  sub: string;
  email: string;
}

export interface Tokens {
  /** Signs a token that expires after the configured lifetime. */
  sign(payload: TokenPayload): Promise<string>;
  /** Returns the payload of a token, or undefined if the token is not valid now. */
  verify(token: string): Promise<TokenPayload | undefined>;
}

/** Maximum length of a token in bytes; the tokens of this backend have about 250. */
const tokenBytesMax = 8192;
/** Maximum number of cached tokens. The key is the token's exact text. */
const cachedMax = 10_000;

interface VerifiedPayload extends TokenPayload {
  /** Seconds since 1970. */
  exp: number;
}

/**
 * Creates a signer and verifier. The key is imported once.
 *
 * @param lifetimeMinutes lifetime of a signed token
 */
export function createTokens(secret: string, lifetimeMinutes: number): Tokens {
  const key = crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
  const cache = new Map<string, VerifiedPayload>();
  const cachePayload = (token: string, payload: VerifiedPayload): VerifiedPayload => {
    if (cache.size >= cachedMax) cache.delete(cache.keys().next().value!);
    cache.set(token, payload);
    return payload;
  };
  const verifySignature = async (token: string): Promise<VerifiedPayload | undefined> => {
    try {
      const { payload: { sub, email, exp, aud, jti } } = await jwtVerify(token, await key, {
        algorithms: ["HS256"],
        requiredClaims: ["sub", "email", "exp"],
      });
      // The old backend expected no audience and rejected tokens with one; `jti` had to be a string.
      if (aud !== undefined || jti !== undefined && typeof jti !== "string") return undefined;
      if (typeof sub !== "string" || typeof email !== "string" || !Number.isFinite(exp)) return undefined;
      return cachePayload(token, { sub, email, exp: exp! });
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  };
  return {
    async sign({ sub, email }) {
      const exp = Math.floor(Date.now() / 1000) + lifetimeMinutes * 60;
      return await new SignJWT({ sub, email, exp })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .sign(await key);
    },
    async verify(token) {
      const cached = cache.get(token);
      if (cached) {
        if (cached.exp > Math.floor(Date.now() / 1000)) return cached;
        cache.delete(token);
        return undefined;
      }
      if (token.length > tokenBytesMax || /\s/.test(token)) return undefined;
      return await verifySignature(token);
    },
  };
}
