/// <reference lib="deno.worker" />
/** Web Worker that hashes and compares passwords outside the event loop that serves requests. */
import bcrypt from "bcryptjs";
import type { PasswordJob, PasswordResult } from "./passwords.ts";

/** 22 characters of salt and 31 of hash that belong together for no known password. */
const dummySaltAndHash = "CxzO5ZtWQxFpIiRakajiOeNqkRhpDK2WTN11fLrtXYduXw0zOiVly";
const dummyHash = (cost: number) => `$2b$${String(cost).padStart(2, "0")}$${dummySaltAndHash}`;

/**
 * Compares a password in the time of `cost`, whatever cost c the hash has: 2^c rounds and then 2^c, 2^(c+1),
 * … 2^(cost-1) rounds add up to 2^cost. A right password returns at once.
 */
function compare(password: string, hash: string | undefined, cost: number): boolean {
  if (hash === undefined) {
    bcrypt.compareSync(password, dummyHash(cost));
    return false;
  }
  if (bcrypt.compareSync(password, hash)) return true;
  for (let rest = Number(hash.slice(4, 6)); rest < cost; rest++) {
    bcrypt.compareSync(password, dummyHash(rest));
  }
  return false;
}

self.onmessage = ({ data }: MessageEvent<PasswordJob>) => {
  const result: PasswordResult = data.kind === "hash"
    ? { id: data.id, hash: bcrypt.hashSync(data.password, data.cost) }
    : { id: data.id, isSame: compare(data.password, data.hash, data.cost) };
  self.postMessage(result);
};
