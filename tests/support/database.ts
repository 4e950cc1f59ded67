/** Databases for tests, cloned from a migrated template. */
import { connect, type Pool } from "../../db/pg/connect.ts";

/** A database of one test. */
export interface TestDatabase extends AsyncDisposable {
  url: string;
  sql: Pool;
}

/** Options of a test database. */
export interface TestDatabaseOptions {
  /** Template: the migrated one by default, or another database without connections. */
  template?: string | undefined;
  /** URL of the server; by default that of all tests. */
  server?: string | undefined;
}

/** Creates a database from a template. Disposal drops it. */
export async function createDatabase(
  { template = "template_contactsheet", server = Deno.env.get("TEST_POSTGRES_URL") }: TestDatabaseOptions =
    {},
): Promise<TestDatabase> {
  if (!server) {
    throw new Error(
      "TEST_POSTGRES_URL is not set: run the tests with 'deno task test', which starts PostgreSQL",
    );
  }
  const name = `test_${crypto.randomUUID().replaceAll("-", "")}`;
  const admin = connect(server, { max: 1 });
  await admin`create database ${admin(name)} template ${admin(template)}`;
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
