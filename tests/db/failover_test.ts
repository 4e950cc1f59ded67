/** An address moves to another server while the old one stays up and only permits reads. */
import assert from "node:assert/strict";
import { connect, type Pool } from "../../db/pg/connect.ts";
import { findFreePort } from "../../dev/servers/ports.ts";
import { startPostgres } from "../../dev/servers/postgres.ts";
import { waitFor } from "../support/wait.ts";

/** An address that can be moved. Open connections stay where they are, as behind a moved DNS name. */
class MovableAddress implements Disposable {
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  constructor(public target: number) {
    void this.#accept();
  }

  get port(): number {
    return (this.#listener.addr as Deno.NetAddr).port;
  }

  async #accept(): Promise<void> {
    for await (const client of this.#listener) {
      const server = await Deno.connect({ hostname: "127.0.0.1", port: this.target });
      const ignore = () => {};
      client.readable.pipeTo(server.writable).catch(ignore);
      server.readable.pipeTo(client.writable).catch(ignore);
    }
  }

  [Symbol.dispose](): void {
    this.#listener.close();
  }
}

async function startServer() {
  const port = findFreePort();
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-failover-" });
  const server = await startPostgres({ folder, keep: false, durable: false, port });
  const sql = connect(server.url("postgres"), { max: 1 });
  await sql`create table notes (at int)`;
  return {
    port,
    url: server.url("postgres"),
    sql,
    async [Symbol.asyncDispose]() {
      await sql.end({ timeout: 0 });
      await server.stop();
    },
  };
}

type Server = Awaited<ReturnType<typeof startServer>>;

const write = (sql: Pool): Promise<unknown> =>
  sql`insert into notes (at) values (inet_server_port())`.execute();

const readPort = async (sql: Pool) => (await sql`select inet_server_port() as port`)[0]!.port as number;

async function setReadOnly({ sql }: Server, value: "on" | "off"): Promise<void> {
  await sql.unsafe(`alter system set default_transaction_read_only = ${value}`);
  await sql`select pg_reload_conf()`;
  await waitFor("the new setting", async () => {
    const [row] = await sql`show default_transaction_read_only`;
    return row!.default_transaction_read_only === value;
  }, 5000);
}

async function checkWrites(old: Server, next: Server, options: { silentMsMax?: number }): Promise<void> {
  using address = new MovableAddress(old.port);
  const sql = connect(old.url.replace(`:${old.port}`, `:${address.port}`), { max: 4, ...options });
  await Promise.all([1, 2, 3, 4].map(() => write(sql)));
  address.target = next.port;
  await setReadOnly(old, "on");
  const failures: string[] = [];
  const tryWrite = () => write(sql).then(() => true, (error) => void failures.push(error.code));
  await waitFor("a write", tryWrite, 5000);
  await waitFor("the close of old connections", async () => {
    const ports = await Promise.all(Array.from({ length: 8 }, () => readPort(sql).catch(() => 0)));
    return ports.every((port) => port === next.port);
  }, 5000);
  for (let i = 0; i < 20; i++) await write(sql);
  assert.ok(failures.every((code) => /^(25006|CONNECTION_CLOSED)$/.test(code)), `${failures}`);
  assert.ok(failures.length <= 4, `${failures.length} failures`);
  await sql.end({ timeout: 0 });
  await setReadOnly(old, "off");
}

Deno.test("connections follow an address that has moved", async (t) => {
  await using old = await startServer();
  await using next = await startServer();

  await t.step("a short-lived pool writes to the new server within 5 s", () => checkWrites(old, next, {}));

  await t.step(
    "a pool with a silence limit writes to the new server within 5 s",
    () => checkWrites(old, next, { silentMsMax: 5000 }),
  );

  await t.step("a pool that only reads leaves a server that becomes read-only", async () => {
    using address = new MovableAddress(old.port);
    const sql = connect(old.url.replace(`:${old.port}`, `:${address.port}`), { max: 1 });
    assert.equal(await readPort(sql), old.port);
    address.target = next.port;
    await setReadOnly(old, "on");
    const isMoved = async () => await readPort(sql).catch(() => 0) === next.port;
    await waitFor("an answer of the new server", isMoved, 5000);
    await sql.end({ timeout: 0 });
  });

  await t.step("target_session_attrs=read-write chooses the host that permits writes", async () => {
    const hosts = `127.0.0.1:${old.port},127.0.0.1:${next.port}`;
    const url = `${old.url.replace(`127.0.0.1:${old.port}`, hosts)}?target_session_attrs=read-write`;
    const sql = connect(url);
    await write(sql);
    assert.equal(await readPort(sql), next.port);
    await sql.end({ timeout: 0 });
  });

  await t.step("of several hosts, one that does not answer is skipped", async () => {
    const hosts = `127.0.0.1:${findFreePort()},127.0.0.1:${next.port}`;
    const sql = connect(next.url.replace(`127.0.0.1:${next.port}`, hosts));
    await write(sql);
    await sql.end({ timeout: 0 });
  });
});
