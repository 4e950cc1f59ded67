/// <reference lib="deno.worker" />
/** Hashes and compares passwords away from the loop that answers requests. */
import bcrypt from "bcryptjs";
import type { PasswordAnswer, PasswordJob } from "./passwords.ts";

/** Of a password that nobody has: 22 letters of salt and 31 of hash that were not kept with one. */
const nobody = "CxzO5ZtWQxFpIiRakajiOeNqkRhpDK2WTN11fLrtXYduXw0zOiVly";
const dummyOf = (cost: number) => `$2b$${String(cost).padStart(2, "0")}$${nobody}`;

/**
 * Compares in the time of `cost`, whatever the hash's own: 2^c and then 2^c, 2^(c+1), … 2^(cost-1) rounds make
 * 2^cost. A right password is told at once.
 */
function compare(password: string, hash: string | undefined, cost: number): boolean {
  if (hash === undefined) return bcrypt.compareSync(password, dummyOf(cost)) && false;
  if (bcrypt.compareSync(password, hash)) return true;
  for (let rest = Number(hash.slice(4, 6)); rest < cost; rest++) bcrypt.compareSync(password, dummyOf(rest));
  return false;
}

self.onmessage = ({ data }: MessageEvent<PasswordJob>) => {
  const answer: PasswordAnswer = data.kind === "hash"
    ? { id: data.id, hash: bcrypt.hashSync(data.password, data.cost) }
    : { id: data.id, same: compare(data.password, data.hash, data.cost) };
  self.postMessage(answer);
};
