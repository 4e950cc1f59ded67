/** `deno task openapi [--check]`: writes or checks v2's OpenAPI document and the types of its client. */
import { Command } from "commander";
import openapiTypes, { astToString, type OpenAPI3 } from "openapi-typescript";
import { parseConfig } from "../config.ts";
import { connect } from "../db/pg/connect.ts";
import { AppError } from "../errors.ts";
import { silentLog } from "../log.ts";
import { createMetrics } from "../metrics.ts";
import { print, runMain } from "../process.ts";
import { createPasswords } from "../routes/common/passwords.ts";
import { createDocsFiles } from "../routes/common/docs.ts";
import { createGate } from "../routes/common/gate.ts";
import { createThrottle } from "../routes/common/throttle.ts";
import { createV2App } from "../routes/v2/app.ts";
import { describeApi } from "../routes/v2/docs.ts";
import type { V2App } from "../routes/v2/kit/context.ts";
import { parseOptions } from "./command_line.ts";

const documentUrl = new URL("../routes/v2/generated/openapi.json", import.meta.url);
const typesUrl = new URL("../routes/v2/generated/schema.ts", import.meta.url);

/** Creates v2 for its routes and its document. It may get no request, and therefore opens no connection. */
export function createIdleApp(): V2App {
  const SECRET_KEY = "0".repeat(32);
  const DATABASE_URL = "postgres://nobody@localhost/none";
  return createV2App({
    sql: connect(DATABASE_URL),
    log: silentLog,
    metrics: createMetrics(),
    config: parseConfig({ DATABASE_URL, SECRET_KEY }, "api"),
    passwords: createPasswords(),
    throttle: createThrottle(),
    gate: createGate(),
    docsFiles: createDocsFiles(),
    bodyMsMax: 0,
  });
}

/** Returns the document as the file has it. */
export function formatDocument(): string {
  return JSON.stringify(describeApi(createIdleApp()), null, 1) + "\n";
}

async function formatTypes(document: string): Promise<string> {
  const nodes = await openapiTypes(JSON.parse(document) as OpenAPI3, {
    alphabetize: true,
    defaultNonNullable: false,
  });
  return `// Written by 'deno task openapi' from the routes of v2. Do not edit.\n\n${astToString(nodes)}`;
}

const command = new Command("deno task openapi")
  .description("Writes v2's OpenAPI document and the types of its client from the routes.")
  .option("--check", "only compare the files with the routes");

async function main(): Promise<void> {
  const options = parseOptions<{ check?: true }>(command, Deno.args);
  if (!options) return;
  const isCheck = options.check ?? false;
  const document = formatDocument();
  const files: [URL, string][] = [[documentUrl, document], [typesUrl, await formatTypes(document)]];
  for (const [url, text] of files) {
    const name = url.pathname.slice(url.pathname.lastIndexOf("/") + 1);
    if (!isCheck) await Deno.writeTextFile(url, text);
    else if (await Deno.readTextFile(url) !== text) {
      throw new AppError(
        "conflict",
        `checking '${name}': it differs from the routes; run 'deno task openapi'`,
      );
    }
  }
  print(isCheck ? "the document and the client's types agree with the routes" : "written");
}

if (import.meta.main) await runMain(main);
