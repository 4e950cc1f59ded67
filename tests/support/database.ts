import { connect, type Pool } from "../../db/connect.ts";

export interface TestDatabase extends AsyncDisposable {
  url: string;
  sql: Pool;
}

/** A database of its own, cloned from the migrated template; dropped at the end. */
export async function createDatabase(): Promise<TestDatabase> {
  const server = Deno.env.get("TEST_POSTGRES_URL");
  if (!server) throw new Error("run the tests by 'deno task test': it starts the PostgreSQL they need");
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = connect(server, { max: 1 });
  await admin`create database ${admin(name)} template template_contactsheet`;
  const url = new URL(server);
  url.pathname = `/${name}`;
  const sql = connect(url.href, { max: 4 });
  return {
    url: url.href,
    sql,
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 1 });
      await admin`drop database ${admin(name)} with (force)`;
      await admin.end();
    },
  };
}
