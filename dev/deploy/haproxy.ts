/** HAProxy as deploy/haproxy configures it: its share and colour stand in maps, its counts in its statistics. */
import { AppError } from "../../errors.ts";
import { colours, type Counts, type ProxyControl, readConfigFile, replaceFile } from "./proxy.ts";

/** Sends one command to the administrative socket. @throws AppError invalid_config */
async function send(socket: string, command: string): Promise<string> {
  try {
    using connection = await Deno.connect({ transport: "unix", path: socket });
    await connection.write(new TextEncoder().encode(`${command}\n`));
    return await new Response(connection.readable).text();
  } catch (cause) {
    const reason = (cause as Error).message;
    throw new AppError("source_missing", `asking HAProxy at '${socket}': ${reason}; is ADMIN_SOCKET right?`, {
      cause,
    });
  }
}

/** Returns the path of a map as the configuration names it. */
async function findMap(socket: string, name: string): Promise<string> {
  const list = await send(socket, "show map");
  const path = new RegExp(`\\((\\S*${name.replace(".", "\\.")})\\)`).exec(list)?.[1];
  if (path === undefined) {
    throw new AppError("invalid_config", `asking HAProxy at '${socket}': it has no map ${name}`);
  }
  return path;
}

/** Sets an entry of a map in the running process and in its file, from which a restart reads. */
async function setEntry(socket: string, map: string, key: string, value: string): Promise<void> {
  const path = await findMap(socket, map);
  const answer = (await send(socket, `set map ${path} ${key} ${value}`)).trim();
  if (answer !== "") throw new AppError("invalid_config", `setting ${key} of '${path}': ${answer}`);
  const text = await readConfigFile(path);
  await replaceFile(path, text.replace(new RegExp(`^${key} .*$`, "m"), `${key} ${value}`));
}

async function readCounts(socket: string): Promise<Counts> {
  const [head = "", ...lines] = (await send(socket, "show stat")).split("\n");
  const names = head.replace(/^# /, "").split(",");
  const counts: Counts = { old: { requests: 0, errors: 0 }, new: { requests: 0, errors: 0 } };
  for (const line of lines) {
    const values = Object.fromEntries(line.split(",").map((value, index) => [names[index], value]));
    if (values.svname !== "BACKEND") continue;
    const isNew = (colours as readonly string[]).includes(values.pxname ?? "");
    if (!isNew && values.pxname !== "old") continue;
    const side = counts[isNew ? "new" : "old"];
    side.requests += Number(values.req_tot);
    side.errors += Number(values.hrsp_5xx);
  }
  return counts;
}

/** Opens the HAProxy that has its administrative socket at `socket`. */
export function openHaproxy(socket: string): ProxyControl {
  return {
    setShare: (percent) => setEntry(socket, "share.map", "new", String(Math.round(percent * 100))),
    setColour: (colour) => setEntry(socket, "live.map", "live", colour),
    readCounts: () => readCounts(socket),
  };
}
