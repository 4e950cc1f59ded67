/**
 * Refresh tokens consist of the session's id, the number of earlier renewals, and a signature of both. The
 * successor of a token is always the same, so that concurrent renewals and a retry after a lost response
 * return the same token. A token with a valid signature that is not the current one proves that a copy
 * exists.
 */
import { hashToken, type Secrets } from "../kit/secrets.ts";

/** Content of a refresh token. */
export interface RefreshToken {
  sessionId: string;
  /** Number of earlier renewals of the session. */
  renewals: number;
}

const tokenPattern =
  /^refresh_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})$/;
const signedText = ({ sessionId, renewals }: RefreshToken): string => `${sessionId}.${renewals}`;

/** Formats and signs a token. */
export async function formatRefreshToken(secrets: Secrets, token: RefreshToken): Promise<string> {
  const signature = await secrets.sign("refresh", signedText(token));
  return `refresh_${signedText(token)}.${signature.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

/** Parses a token and verifies its signature; undefined if either fails. */
export async function verifyRefreshToken(secrets: Secrets, text: string): Promise<RefreshToken | undefined> {
  const [, sessionId, renewals, signature] = tokenPattern.exec(text) ?? [];
  if (sessionId === undefined || signature === undefined) return undefined;
  const token = { sessionId, renewals: Number(renewals) };
  const bytes = Uint8Array.fromBase64(signature, { alphabet: "base64url" });
  return await secrets.verify("refresh", signedText(token), bytes) ? token : undefined;
}

/** Creates a token and its hash, under which the database stores it. */
export async function createRefreshToken(secrets: Secrets, token: RefreshToken) {
  const text = await formatRefreshToken(secrets, token);
  return { text, hash: await hashToken(text) };
}
