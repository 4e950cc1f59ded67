/** `deno task schema`: writes db/schema.sql from the migrations. With --check it only compares the file with them. */
import { Command } from "commander";
import { connect } from "../db/pg/connect.ts";
import { AppError } from "../errors.ts";
import { dumpSchema } from "../migrate/schema/dump.ts";
import { migrateUp } from "../migrate/schema/runner.ts";
import { print, runMain } from "../process.ts";
import { parseOptions } from "./command_line.ts";
import { startPostgres } from "./servers/postgres.ts";

const path = new URL("../db/schema.sql", import.meta.url);

async function dumpFresh(): Promise<string> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-schema-" });
  await using server = await startPostgres({ folder, keep: false, durable: false });
  const sql = connect(server.url("postgres"), { max: 2 });
  await migrateUp(sql);
  const text = await dumpSchema(sql);
  await sql.end();
  return text;
}

const command = new Command("deno task schema")
  .description("Writes db/schema.sql from a freshly migrated database.")
  .option("--check", "only compare the file with the database");

async function main(): Promise<void> {
  const options = parseOptions<{ check?: true }>(command, Deno.args);
  if (!options) return;
  const text = await dumpFresh();
  if (!options.check) return await Deno.writeTextFile(path, text);
  const committed = await Deno.readTextFile(path).catch(() => "");
  if (committed !== text) {
    throw new AppError(
      "schema_mismatch",
      "checking db/schema.sql: it differs from the migrations; run 'deno task schema'",
    );
  }
  print("db/schema.sql matches the migrations");
}

if (import.meta.main) await runMain(main);
