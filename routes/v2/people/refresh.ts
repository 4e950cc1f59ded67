/**
 * Refresh tokens: the session, how many came before, and a signature of both. The token that follows one is always the
 * same, so that two who renew at once, and one whose answer was lost, get one and the same; and an old token, signed by
 * us but not the one that is good now, shows that somebody has a copy.
 */
import { hashToken, hasSigned, sign } from "../kit/secrets.ts";

export interface RefreshToken {
  sessionId: string;
  /** From 0. */
  turn: number;
}

const form =
  /^refresh_([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.(0|[1-9][0-9]{0,8})\.([A-Za-z0-9_-]{43})$/;
const signed = ({ sessionId, turn }: RefreshToken): string => `${sessionId}.${turn}`;

/** The text of a token. */
export async function writeRefreshToken(secret: string, token: RefreshToken): Promise<string> {
  const signature = await sign(secret, "refresh", signed(token));
  return `refresh_${signed(token)}.${signature.toBase64({ alphabet: "base64url", omitPadding: true })}`;
}

/** A token that we signed; undefined for any other text. */
export async function readRefreshToken(secret: string, text: string): Promise<RefreshToken | undefined> {
  const [, sessionId, turn, signature] = form.exec(text) ?? [];
  if (sessionId === undefined || signature === undefined) return undefined;
  const token = { sessionId, turn: Number(turn) };
  const bytes = Uint8Array.fromBase64(signature, { alphabet: "base64url" });
  return await hasSigned(secret, "refresh", signed(token), bytes) ? token : undefined;
}

/** A token with its hash, by which it is known to the database. */
export async function makeRefreshToken(secret: string, token: RefreshToken) {
  const text = await writeRefreshToken(secret, token);
  return { text, hash: await hashToken(text) };
}
