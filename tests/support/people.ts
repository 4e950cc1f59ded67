/** Users of every kind, with the tokens they hold. */
import bcrypt from "bcryptjs";
import type { TestApi } from "./api.ts";

export interface Person {
  id: string;
  legacyId: string;
  email: string;
  token: string;
}

export const kinds = ["admin", "manager", "user", "guest", "other", "disabled", "deleted"] as const;
export type Kind = (typeof kinds)[number];

/** Everybody's password. */
export const password = "correct horse";
/** Cheap: what is tested is never how long it takes. */
const hash = bcrypt.hashSync(password, 4);

/** One user of each kind; `deleted` is gone again, `disabled` is switched off, `other` is a second plain user. */
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
