/** Tokens of the old backend: HS256 with SECRET_KEY. */
import { compactVerify, errors, SignJWT } from "jose";

const encoder = new TextEncoder();

/** Signs a token as both backends do. */
export const signToken = (
  { sub, email }: { sub: string; email: string },
  secret: string,
  seconds: number,
): Promise<string> =>
  new SignJWT({ sub, email, exp: Math.floor(Date.now() / 1000) + seconds })
    .setProtectedHeader({ alg: "HS256", typ: "JWT" })
    .sign(encoder.encode(secret));

/** Reports whether a token was signed with this key, even if it has expired. */
export async function isSignedWith(token: string, secret: string): Promise<boolean> {
  try {
    await compactVerify(token, encoder.encode(secret), { algorithms: ["HS256"] });
    return true;
  } catch (error) {
    if (error instanceof errors.JOSEError || error instanceof TypeError) return false;
    throw error;
  }
}
