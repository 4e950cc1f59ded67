/** Sends entries to the server, and tells what becomes of them. */
import { type ApiError, asApiError, toApiError } from "../api/problem.ts";
import { authorizedFetch, session } from "../api/session.ts";
import type { Entry } from "./entry.ts";
import type { Changes } from "./store.ts";

/** Time after which a request that hangs is given up and repeated. */
const requestMsMax = 30_000;

interface Call extends Pick<Entry, "task" | "method" | "path" | "body"> {
  key: string;
}

/** Sends a request. @throws ApiError */
async function send({ task, method, path, body, key }: Call): Promise<unknown> {
  try {
    const response = await authorizedFetch(
      new Request(`${location.origin}/api/v2/tasks/${encodeURIComponent(task)}${path}`, {
        method,
        headers: { "content-type": "application/json", "idempotency-key": key },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(requestMsMax),
      }),
    );
    const answer = response.status === 204 ? undefined : await response.json();
    if (!response.ok) throw toApiError(response, answer);
    return answer;
  } catch (error) {
    throw asApiError(error);
  }
}

/** Whether the same request may succeed later. A share that has expired cannot be renewed. */
const isPassing = ({ status, code }: ApiError): boolean =>
  status < 400 || status >= 500 || status === 408 || status === 429 || code === "before_cutover" ||
  status === 401 && session.value.state !== "shared";

/** Takes a vote back. The repeated vote answers with its id, also if its first answer was lost. */
async function withdraw(entry: Entry): Promise<void> {
  let vote: unknown;
  try {
    vote = await send({ ...entry, method: "POST" });
  } catch (error) {
    if (isPassing(asApiError(error))) throw error;
    // The vote was refused, so nothing has to be taken back.
    return;
  }
  const path = `/votes/${(vote as { id: string }).id}`;
  await send({ ...entry, method: "DELETE", path, body: undefined });
}

interface Refused {
  refused: readonly { index: number; reason: string }[];
}

/** Sends ratings in one request, which may refuse some of them. */
async function rate(entries: readonly Entry[]): Promise<Changes> {
  const first = entries[0]!;
  const body = { ratings: entries.map((entry) => entry.body) };
  const { refused } = await send({ ...first, body, key: first.batch! }) as Refused;
  const reasons = new Map(refused.map(({ index, reason }) => [index, reason]));
  return {
    remove: entries.filter((_, i) => !reasons.has(i)),
    put: entries.flatMap((entry, i) => {
      const code = reasons.get(i);
      return code === undefined ? [] : [{ ...entry, refusal: { code, message: "" } }];
    }),
  };
}

/**
 * Sends the entries of one request.
 *
 * @throws ApiError if it may succeed later
 */
export async function deliver(entries: readonly Entry[]): Promise<Changes> {
  const first = entries[0]!;
  try {
    if (first.kind === "rating") return await rate(entries);
    if (first.kind === "withdrawal") await withdraw(first);
    else await send(first);
  } catch (caught) {
    const error = asApiError(caught);
    if (isPassing(error)) throw error;
    // One wrong entry refuses the whole request: each is sent alone then.
    if (entries.length > 1 && error.code === "invalid_request") {
      return { put: entries.map((entry) => ({ ...entry, batch: entry.key })) };
    }
    const isDone = first.method === "DELETE" && error.status === 404;
    const refusal = { code: error.code, message: error.message };
    if (!isDone) return { put: entries.map((entry) => ({ ...entry, refusal })) };
  }
  return { remove: entries };
}
