/** What all processes before both systems must have in common: the version of the product, and SECRET_KEY. */
import { createHash } from "node:crypto";

/** Version of the product, which all processes must share for a switch. */
export const product = "1";

/** Returns a digest that tells whether two processes have the same SECRET_KEY. */
export const digestKey = (secretKey: string): string =>
  createHash("sha256").update(`front ${secretKey}`).digest("hex").slice(0, 16);
