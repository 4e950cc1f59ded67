/** nginx and HAProxy as deploy/ configures them, on free ports of loopback and with the certificate of the tests. */
import { findFreePort } from "../../../dev/servers/ports.ts";
import { waitFor } from "../../support/wait.ts";
import { findTool } from "./tools.ts";

const root = new URL("../../../", import.meta.url);
const tls = new URL("tests/data/tls/", root).pathname;

/** A server behind the proxy, as `host:port`. */
export interface Behind {
  old?: string;
  blue?: [string, string];
  green?: [string, string];
  /** Ports that answer /ready for the servers of blue and of green; their own ports by default. */
  adminPorts?: { blue?: [number, number]; green?: [number, number] };
}

/** A running proxy. */
export interface Proxy extends AsyncDisposable {
  kind: "nginx" | "haproxy";
  pid: number;
  port: number;
  plainPort: number;
  /** Folder with the files that an operator changes. */
  folder: string;
  /** `deploy split` and `deploy colour` write to this place. */
  target: string;
  output(): string;
  /** Calls the proxy over TLS. */
  call(path: string, init?: RequestInit): Promise<Response>;
  /** Opens a TLS connection that has not sent anything. */
  dial(): Promise<Deno.TlsConn>;
}

const caCerts = [await Deno.readTextFile(`${tls}ca.pem`)];

/** An address at which nothing listens. */
const nowhere = "127.0.0.1:9";

async function copyFiles(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const { name, isDirectory } of Deno.readDir(from)) {
    if (isDirectory) await copyFiles(`${from}/${name}`, `${to}/${name}`);
    else await Deno.copyFile(`${from}/${name}`, `${to}/${name}`);
  }
}

async function edit(path: string, changes: [string | RegExp, string][]): Promise<void> {
  let text = await Deno.readTextFile(path);
  for (const [from, to] of changes) {
    const changed = text.replace(from, to);
    if (changed === text) throw new Error(`${path} has no ${from}`);
    text = changed;
  }
  await Deno.writeTextFile(path, text);
}

type Ports = { port: number; plainPort: number };

/** Edits the files of `site/`, and nothing else, as an operator would. */
async function prepareNginx(folder: string, { port, plainPort }: Ports, behind: Behind): Promise<string[]> {
  await copyFiles(new URL("deploy/nginx", root).pathname, folder);
  await Deno.writeTextFile(
    `${folder}/site/main.conf`,
    `worker_processes 2;\npid ${folder}/nginx.pid;\nerror_log stderr warn;\n`,
  );
  await edit(`${folder}/site/listen.conf`, [
    ["/var/log/nginx/contactsheet.json", `${folder}/access.json`],
    ["listen 80 default_server", `listen 127.0.0.1:${plainPort} default_server`],
    ["listen 443 ssl", `listen 127.0.0.1:${port} ssl`],
    ["server_name contactsheet.example", "server_name localhost"],
    ["/etc/contactsheet/tls/server.pem", `${tls}server.pem`],
    ["/etc/contactsheet/tls/server.key", `${tls}server.key`],
  ]);
  const [b1, b2] = behind.blue ?? [nowhere, nowhere];
  const [g1, g2] = behind.green ?? [nowhere, nowhere];
  await edit(`${folder}/site/upstreams.conf`, [
    ["127.0.0.1:9000", behind.old ?? nowhere],
    ["127.0.0.1:8001", b1],
    ["127.0.0.1:8002", b2],
    ["127.0.0.1:8011", g1],
    ["127.0.0.1:8012", g2],
  ]);
  return ["-p", `${folder}/`, "-c", "nginx.conf", "-g", "daemon off;"];
}

const portOf = (address: string) => address.split(":")[1]!;

/** Sets the variables of the environment, and changes no file. */
async function prepareHaproxy(folder: string, { port, plainPort }: Ports, behind: Behind) {
  await copyFiles(new URL("deploy/haproxy", root).pathname, folder);
  const pem = await Deno.readTextFile(`${tls}server.pem`) + await Deno.readTextFile(`${tls}server.key`);
  await Deno.writeTextFile(`${folder}/both.pem`, pem);
  const env: Record<string, string> = {
    HTTP_BIND: `127.0.0.1:${plainPort}`,
    HTTPS_BIND: `127.0.0.1:${port}`,
    SERVER_NAME: "localhost",
    TLS_PEM: `${folder}/both.pem`,
    ADMIN_SOCKET: `${folder}/admin.sock`,
    MAPS: folder,
    OLD: behind.old ?? nowhere,
  };
  for (const colour of ["blue", "green"] as const) {
    for (const index of [0, 1]) {
      const address = behind[colour]?.[index] ?? nowhere;
      const name = `${colour.toUpperCase()}_${index + 1}`;
      env[name] = address;
      env[`${name}_ADMIN`] = String(behind.adminPorts?.[colour]?.[index] ?? portOf(address));
    }
  }
  return { args: ["-W", "-db", "-f", `${folder}/haproxy.cfg`], env };
}

async function collect(from: ReadableStream<Uint8Array>, add: (text: string) => void): Promise<void> {
  const decoder = new TextDecoder();
  for await (const bytes of from) add(decoder.decode(bytes, { stream: true }));
}

/** Starts a proxy before the servers, with the whole share at this system and blue as the colour. */
export async function startProxy(kind: "nginx" | "haproxy", behind: Behind): Promise<Proxy> {
  const folder = await Deno.makeTempDir({ prefix: `contactsheet-${kind}-` });
  // The workers of nginx run as another user.
  await Deno.chmod(folder, 0o755);
  const ports = { port: findFreePort(), plainPort: findFreePort() };
  const { args, env } = kind === "nginx"
    ? { args: await prepareNginx(folder, ports, behind), env: {} }
    : await prepareHaproxy(folder, ports, behind);
  const child = new Deno.Command(findTool(kind)!, {
    args,
    env,
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  })
    .spawn();
  let output = "";
  const add = (text: string) => output += text;
  const reading = Promise.all([collect(child.stdout, add), collect(child.stderr, add)]);
  const ended = child.status;
  let isEnded = false;
  ended.then(() => isEnded = true);
  const client = Deno.createHttpClient({ caCerts, http2: false });
  const origin = `https://localhost:${ports.port}`;
  const dial = () => Deno.connectTls({ hostname: "localhost", port: ports.port, caCerts });
  await waitFor(`${kind} on ${ports.port}`, async () => {
    if (isEnded) throw new Error(`${kind} ended:\n${output}`);
    const connection = await dial().catch(() => undefined);
    connection?.close();
    // HAProxy moves its socket to its place after it has begun to listen.
    const hasSocket = kind === "nginx" ||
      await Deno.stat(`${folder}/admin.sock`).then(() => true, () => false);
    return connection !== undefined && hasSocket;
  }, 10_000);
  return {
    kind,
    pid: child.pid,
    ...ports,
    folder,
    target: kind === "nginx" ? folder : `${folder}/admin.sock`,
    output: () => output,
    call: (path, init = {}) => fetch(origin + path, { redirect: "manual", ...init, client }),
    dial,
    async [Symbol.asyncDispose]() {
      client.close();
      child.kill("SIGTERM");
      await ended;
      await reading;
      await Deno.remove(folder, { recursive: true });
    },
  };
}

/** A played server that answers each request with its name and records it. */
export interface NamedServer extends AsyncDisposable {
  address: string;
  requests: { method: string; path: string; headers: Headers; body: string }[];
  /** Answers instead of the default, where it returns one. */
  answer: (request: Request) => Response | Promise<Response> | undefined;
}

/** Starts a server that answers `{"name": …}`. */
export function startNamed(name: string): NamedServer {
  const server: NamedServer = {
    address: "",
    requests: [],
    answer: () => undefined,
    [Symbol.asyncDispose]: () => listener.shutdown(),
  };
  const listener = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen() {} }, async (request) => {
    const { pathname, search } = new URL(request.url);
    if (pathname === "/ready") return Response.json({ status: "ready" });
    const given = server.answer(request);
    // A client that breaks off is no fault of this server.
    const body = given === undefined ? await request.text().catch(() => "") : "";
    server.requests.push({ method: request.method, path: pathname + search, headers: request.headers, body });
    return given ?? Response.json({ name });
  });
  server.address = `127.0.0.1:${listener.addr.port}`;
  return server;
}
