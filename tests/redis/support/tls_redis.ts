/** A Redis on TCP with IPv6, on TLS and on a Unix socket. */
import { findFreePort } from "../../../dev/servers/ports.ts";
import { findRedisBinary } from "../../../dev/servers/redis.ts";
import { openRedis } from "../../../redis/connect.ts";
import { waitFor } from "../../support/wait.ts";

/** Returns the path of a file of the test's certificate authority. */
export const tlsFile = (name: string): string => new URL(`../../data/tls/${name}`, import.meta.url).pathname;

export interface TlsRedis {
  port: number;
  tlsPort: number;
  /** Path of the Unix socket. */
  socket: string;
}

/** Starts a server. @param socketFolder folder of the Unix socket; a temporary one by default */
export async function startTlsRedis(stack: AsyncDisposableStack, socketFolder?: string): Promise<TlsRedis> {
  const folder = await Deno.makeTempDir({ prefix: "contactsheet-redis-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const [port, tlsPort] = [findFreePort(), findFreePort()];
  const socket = `${socketFolder ?? folder}/contactsheet-${port}.sock`;
  const child = new Deno.Command((await findRedisBinary())!, {
    args: [
      ...["--port", String(port), "--bind", "127.0.0.1", "-::1", "--unixsocket", socket, "--dir", folder],
      ...["--tls-port", String(tlsPort), "--tls-cert-file", tlsFile("server.pem")],
      ...["--tls-key-file", tlsFile("server.key"), "--tls-ca-cert-file", tlsFile("ca.pem")],
      ...["--tls-auth-clients", "no", "--save", ""],
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.status;
    await Deno.remove(socket).catch(() => {});
  });
  await using direct = openRedis({ url: `redis://127.0.0.1:${port}` });
  await waitFor("the server", () => direct.redis.ping().then(() => true, () => false));
  return { port, tlsPort, socket };
}
