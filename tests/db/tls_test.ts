/** Connections with and without TLS, as `sslmode` demands, against a server of its own. */
import assert from "node:assert/strict";
import { connect, connectError } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { AppError } from "../../errors.ts";

const file = (name: string) => new URL(`../data/tls/${name}`, import.meta.url);
const caPath = file("ca.pem").pathname;

const whether = "select ssl as encrypted from pg_stat_ssl where pid = pg_backend_pid()";

/** Connects once. Returns whether the session is encrypted, or the error as a program shows it. */
async function probe(url: string): Promise<boolean | string> {
  const sql = connect(url, { max: 1 });
  try {
    const [row] = await sql.unsafe(whether);
    return row!.encrypted as boolean;
  } catch (error) {
    const shown = connectError(error, url);
    assert.ok(shown instanceof AppError, `${error}`);
    return `${shown.code}: ${shown.message}`;
  } finally {
    await sql.end({ timeout: 0 });
  }
}

/** Writes the server's certificate and key into its data folder, as the server's own account, and reloads. */
async function enableTls(url: string): Promise<void> {
  const sql = connect(url, { max: 1 });
  for (const name of ["server.pem", "server.key"]) {
    const text = await Deno.readTextFile(file(name));
    await sql.unsafe(
      `copy (select unnest(string_to_array($$${text.trimEnd()}$$, e'\\n'))) to program 'cat > ${name} && chmod 600 ${name}'`,
    );
  }
  await sql`alter system set ssl_cert_file = 'server.pem'`;
  await sql`alter system set ssl_key_file = 'server.key'`;
  await sql`alter system set ssl = on`;
  await sql`select pg_reload_conf()`;
  await sql.end();
}

Deno.test("sslmode means what it means to libpq", async (t) => {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-tls-" });
  const port = findFreePort();
  await using server = await startPostgres({ folder, keep: false, durable: false, port });
  const plain = server.url("postgres");
  const named = plain.replace("127.0.0.1", "localhost");
  const withMode = (base: string, query: string) => `${base}?${query}`;

  const without: [string, boolean | RegExp][] = [
    ["sslmode=disable", false],
    ["sslmode=allow", false],
    ["sslmode=prefer", false],
    ["sslmode=require", /^database_refused: .*no TLS.*sslmode=require/],
    ["sslmode=verify-full", /^database_refused: .*no TLS/],
  ];
  for (const [query, wanted] of without) {
    await t.step(`a server without TLS under ${query}`, async () => {
      const found = await probe(withMode(plain, query));
      if (typeof wanted === "boolean") assert.equal(found, wanted);
      else assert.match(String(found), wanted);
    });
  }

  await enableTls(plain);
  const ca = `sslrootcert=${encodeURIComponent(caPath)}`;
  const withTls: [string, string, boolean | RegExp][] = [
    [named, "sslmode=disable", false],
    [named, "sslmode=allow", false],
    [named, "sslmode=prefer", true],
    [named, "sslmode=require&channel_binding=require", true],
    [plain, "sslmode=require", true],
    [named, `sslmode=verify-full&${ca}`, true],
    [plain, `sslmode=verify-ca&${ca}`, true],
    [plain, `sslmode=verify-full&${ca}`, /^database_refused: .*TLS failed/],
    [named, "sslmode=verify-full", /^database_refused: .*TLS failed/],
    [named, "sslmode=require&sslnegotiation=direct", true],
  ];
  for (const [base, query, wanted] of withTls) {
    const host = base === named ? "by name" : "by address";
    await t.step(
      `a server with TLS, ${host}, under ${query.replace(/sslrootcert.*/, "sslrootcert")}`,
      async () => {
        const found = await probe(withMode(base, query));
        if (typeof wanted === "boolean") assert.equal(found, wanted);
        else assert.match(String(found), wanted);
      },
    );
  }

  await t.step("sslmode=allow encrypts if the server refuses plain connections", async () => {
    const sql = connect(plain, { max: 1 });
    await sql.unsafe("copy (select 'hostssl all all all password') to program 'cat > pg_hba.conf'");
    await sql`select pg_reload_conf()`;
    await sql.end();
    assert.equal(await probe(withMode(named, "sslmode=allow")), true);
    assert.match(
      String(await probe(withMode(named, "sslmode=disable"))),
      /^database_refused: .*no encryption/,
    );
  });
});
