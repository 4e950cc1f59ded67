/** v2's access tokens: short-lived, bound to a session, of no use on v1. */
import { isUuid } from "../../../uuid.ts";
import { errors, jwtVerify, SignJWT } from "jose";

export interface AccessClaims {
  userId: string;
  sessionId: string;
  /** The user's `token_version` when it was signed. */
  version: number;
}

export interface AccessTokens {
  /** Seconds from signing to the end. */
  readonly lifeSeconds: number;
  sign(claims: AccessClaims): Promise<string>;
  /** The claims of a token; undefined for any that is not valid now. */
  verify(token: string): Promise<AccessClaims | undefined>;
}

/** v1 refuses tokens that name an audience, and here one without it is none. */
const audience = "contactsheet-v2";
const tokenBytesMax = 2048;

/** @param lifeSeconds design «v2»: 15 minutes */
export function createAccessTokens(secret: string, lifeSeconds = 900): AccessTokens {
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = crypto.subtle.importKey("raw", new TextEncoder().encode(secret), hmac, false, [
    "sign",
    "verify",
  ]);
  return {
    lifeSeconds,
    async sign({ userId, sessionId, version }) {
      return await new SignJWT({ sid: sessionId, ver: version })
        .setProtectedHeader({ alg: "HS256", typ: "at+jwt" })
        .setSubject(userId)
        .setAudience(audience)
        .setExpirationTime(Math.floor(Date.now() / 1000) + lifeSeconds)
        .sign(await key);
    },
    async verify(token) {
      if (token.length > tokenBytesMax) return undefined;
      try {
        const { payload: { sub, sid, ver } } = await jwtVerify(token, await key, {
          algorithms: ["HS256"],
          audience,
          typ: "at+jwt",
          requiredClaims: ["exp", "sub", "sid", "ver"],
        });
        if (typeof sub !== "string" || !isUuid(sub)) return undefined;
        if (typeof sid !== "string" || !isUuid(sid) || typeof ver !== "number") return undefined;
        return { userId: sub, sessionId: sid, version: ver };
      } catch (error) {
        if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
        throw error;
      }
    },
  };
}
