/** Access tokens of v2: short-lived JWTs that are bound to a session. v1 rejects them. */
import { isUuid } from "../../../uuid.ts";
import { errors, jwtVerify, SignJWT } from "jose";

export interface AccessTokenPayload {
  userId: string;
  sessionId: string;
  /** The user's `token_version` at the time of signing. */
  version: number;
}

export interface VerifiedAccessToken extends AccessTokenPayload {
  /** Expiry in milliseconds since 1970. */
  expiresAtMs: number;
}

export interface AccessTokens {
  /** Lifetime of a token in seconds. */
  readonly lifeSeconds: number;
  sign(payload: AccessTokenPayload): Promise<string>;
  /** Returns the payload of a valid token, or undefined. */
  verify(token: string): Promise<VerifiedAccessToken | undefined>;
}

/** v1 rejects tokens with an audience, and v2 rejects tokens without this one. */
const audience = "contactsheet-v2";
const tokenBytesMax = 2048;

/** Seconds for which an access token is valid. */
export const accessTokenSeconds = 900;

export function createAccessTokens(secret: string, lifeSeconds = accessTokenSeconds): AccessTokens {
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
        const { payload: { sub, sid, ver, exp } } = await jwtVerify(token, await key, {
          algorithms: ["HS256"],
          audience,
          typ: "at+jwt",
          requiredClaims: ["exp", "sub", "sid", "ver"],
        });
        if (typeof sub !== "string" || !isUuid(sub)) return undefined;
        if (typeof sid !== "string" || !isUuid(sid) || typeof ver !== "number") return undefined;
        return { userId: sub, sessionId: sid, version: ver, expiresAtMs: exp! * 1000 };
      } catch (error) {
        if (error instanceof errors.JOSEError || error instanceof TypeError) return undefined;
        throw error;
      }
    },
  };
}
