import { connect, type Pool } from "../../db/pg/connect.ts";

export interface TestDatabase extends AsyncDisposable {
  url: string;
  sql: Pool;
}

export interface TestDatabaseOptions {
  /** The migrated template, or another database that nobody is connected to. */
  template?: string | undefined;
  /** As the migrator connects: a statement after a COPY does not wait 40 ms. */
  noDelay?: boolean;
}

/** A database of its own, cloned; dropped at the end. */
export async function createDatabase(
  { template = "template_contactsheet", noDelay = false }: TestDatabaseOptions = {},
): Promise<TestDatabase> {
  const server = Deno.env.get("TEST_POSTGRES_URL");
  if (!server) throw new Error("run the tests by 'deno task test': it starts the PostgreSQL they need");
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = connect(server, { max: 1 });
  await admin`create database ${admin(name)} template ${admin(template)}`;
  const url = new URL(server);
  url.pathname = `/${name}`;
  const sql = connect(url.href, { max: 4, noDelay });
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
