/** Users of every kind with their tokens. */
import bcrypt from "bcryptjs";
import type { TestApi } from "./api.ts";
import { password } from "./secrets.ts";

/** A user with a v1 token. */
export interface Person {
  id: string;
  legacyId: string;
  email: string;
  token: string;
}

/** Kinds of users. */
export const kinds = ["admin", "manager", "user", "guest", "other", "disabled", "deleted"] as const;
/** Kind of a user. */
export type Kind = (typeof kinds)[number];

export { password };
/** Hash with a low cost, since no test depends on its duration. */
const hash = bcrypt.hashSync(password, 4);

/** Inserts one user of each kind. `deleted` is deleted again, `disabled` is inactive, `other` is a second normal user. */
export async function addUsers({ database: { sql }, tokens }: TestApi): Promise<Record<Kind, Person>> {
  const people = await Promise.all(kinds.map(async (kind): Promise<[Kind, Person]> => {
    const email = `${kind}@example.com`;
    const role = kind === "admin" || kind === "manager" || kind === "guest" ? kind : "user";
    const [row] = await sql<{ id: string; legacy_id: string }[]>`
      insert into users (email, hashed_password, fullname, roles, is_active)
      values (${email}, ${hash}, ${kind}, ${[role]}::text[], ${kind !== "disabled"})
      returning id, legacy_id`;
    const token = await tokens.sign({ sub: row!.legacy_id, email });
    return [kind, { id: row!.id, legacyId: row!.legacy_id, email, token }];
  }));
  await sql`delete from users where email = 'deleted@example.com'`;
  return Object.fromEntries(people) as Record<Kind, Person>;
}
