/** The tokens that both backends sign and accept: HS256 over SECRET_KEY, claims `sub`, `email` and `exp`. */
import { errors, jwtVerify, SignJWT } from "jose";

export interface Claims {
  /** The user's id as the backend that signed it knows it; nothing is looked up by it. */
  sub: string;
  email: string;
}

export interface Tokens {
  /** Signs a token that expires after the configured life. */
  sign(claims: Claims): Promise<string>;
  /** The claims of a token; undefined for any that is not valid now. */
  verify(token: string): Promise<Claims | undefined>;
}

/** Bytes of a token at most; ours have about 250. */
const tokenBytesMax = 8192;
/** Tokens whose signature is remembered to be good; another spelling of one is simply verified again. */
const rememberedMax = 10_000;

interface Verified extends Claims {
  /** Seconds since 1970. */
  exp: number;
}

/**
 * Imports the key once.
 *
 * @param lifeMinutes until a signed token expires
 */
export function createTokens(secret: string, lifeMinutes: number): Tokens {
  const imported = crypto.subtle.importKey(
    "raw",
    new TextEncoder().encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["sign", "verify"],
  );
  const remembered = new Map<string, Verified>();
  const remember = (token: string, verified: Verified): Verified => {
    if (remembered.size >= rememberedMax) remembered.delete(remembered.keys().next().value!);
    remembered.set(token, verified);
    return verified;
  };
  const verifyAnew = async (token: string): Promise<Verified | undefined> => {
    try {
      const { payload: { sub, email, exp, aud, jti } } = await jwtVerify(token, await imported, {
        algorithms: ["HS256"],
        requiredClaims: ["sub", "email", "exp"],
      });
      // The old backend asked for no audience and so refused tokens that name one; an id had to be text.
      if (aud !== undefined || jti !== undefined && typeof jti !== "string") return undefined;
      if (typeof sub !== "string" || typeof email !== "string" || !Number.isFinite(exp)) return undefined;
      return remember(token, { sub, email, exp: exp! });
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
      throw error;
    }
  };
  return {
    async sign({ sub, email }) {
      const expires = Math.floor(Date.now() / 1000) + lifeMinutes * 60;
      return await new SignJWT({ sub, email, exp: expires })
        .setProtectedHeader({ alg: "HS256", typ: "JWT" })
        .sign(await imported);
    },
    async verify(token) {
      const known = remembered.get(token);
      if (known) {
        if (known.exp > Math.floor(Date.now() / 1000)) return known;
        remembered.delete(token);
        return undefined;
      }
      if (token.length > tokenBytesMax || /\s/.test(token)) return undefined;
      return await verifyAnew(token);
    },
  };
}
