/** A gateway with Upstash's REST protocol in front of a real Redis, for tests of the REST transport. */
import { createClient } from "redis";

/** A running gateway. */
export interface UpstashGateway extends AsyncDisposable {
  url: string;
  token: string;
  /** Number of executed commands, including each command of a pipeline. */
  commands: number;
  /** Answer with which every request fails, if it is set. */
  failWith: { status: number; error: string } | undefined;
}

type Value = unknown;

function encode(value: Value, base64: boolean): Value {
  if (Array.isArray(value)) return value.map((part) => encode(part, base64));
  if (typeof value !== "string" || !base64 || value === "OK") return value;
  return new TextEncoder().encode(value).toBase64();
}

const refuse = (status: number, error: string) => Response.json({ error }, { status });

/** Starts a gateway on a free port. */
export async function startGateway(redisUrl: string): Promise<UpstashGateway> {
  const client = createClient({ url: redisUrl, RESP: 2 });
  client.on("error", () => {});
  await client.connect();
  const token = crypto.randomUUID();
  const gateway = { token, commands: 0, failWith: undefined as UpstashGateway["failWith"] };

  async function runOne(command: Value, base64: boolean) {
    if (!Array.isArray(command) || command.length === 0) return { error: "ERR empty command" };
    gateway.commands++;
    try {
      return { result: encode(await client.sendCommand(command.map(String)), base64) };
    } catch (error) {
      return { error: (error as Error).message };
    }
  }

  async function runAtomic(commands: Value[][], base64: boolean) {
    gateway.commands += commands.length;
    const multi = client.multi();
    for (const command of commands) multi.addCommand(command.map(String));
    try {
      return ((await multi.exec()) as Value[]).map((result) => ({ result: encode(result, base64) }));
    } catch (error) {
      const replies = (error as { replies?: Value[] }).replies ?? [];
      return replies.map((reply) =>
        reply instanceof Error ? { error: reply.message } : { result: encode(reply, base64) }
      );
    }
  }

  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async (request) => {
    if (gateway.failWith) return refuse(gateway.failWith.status, gateway.failWith.error);
    if (request.headers.get("authorization") !== `Bearer ${token}`) {
      return refuse(401, "WRONGPASS invalid or missing auth token");
    }
    const base64 = request.headers.get("upstash-encoding") === "base64";
    const body = await request.json().catch(() => undefined);
    if (!Array.isArray(body)) return refuse(400, "ERR failed to parse the command");
    const { pathname } = new URL(request.url);
    if (pathname === "/pipeline") {
      const answers = [];
      for (const command of body) answers.push(await runOne(command, base64));
      return Response.json(answers);
    }
    if (pathname === "/multi-exec") return Response.json(await runAtomic(body, base64));
    if (/^x?read(group)?$/i.test(String(body[0])) && body.some((part) => /^block$/i.test(String(part)))) {
      return refuse(400, "ERR blocking commands are not supported over REST");
    }
    const answer = await runOne(body, base64);
    return Response.json(answer, { status: "error" in answer ? 400 : 200 });
  });
  return Object.assign(gateway, {
    url: `http://127.0.0.1:${server.addr.port}`,
    async [Symbol.asyncDispose]() {
      await server.shutdown();
      client.destroy();
    },
  });
}
