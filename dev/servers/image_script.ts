/**
 * Scripts of the played image API: `@@create:WHAT*N` and `@@poll:WHAT*N` anywhere in a prompt.
 *
 * `*N`: the first N jobs alone; without it, always. Create: a status such as `500`, `451`, `429`, or `nouuid` (JSON
 * without an id), `text` (an HTML page), `hang` (30 s). Poll: a task status such as `FAILURE`, `TIMEOUT`, or `EMPTY`
 * (done, no artifact), a status such as `404`, `text`, or `PENDING` for ever.
 */
export interface Scripts {
  create?: string;
  poll?: string;
}

const pattern = /@@(create|poll):([A-Za-z_]+|\d{3})(?:\*(\d+))?/g;

/**
 * The scripts that are due for a request. Equal requests (same seed, same prompts) are one subtask's attempts: what
 * has been played for them is counted in `played`.
 */
export function readScripts(body: string, played: Map<string, number>): Scripts {
  const due: Scripts = {};
  if (!body.includes("@@")) return due;
  for (const [script, call, what, most] of body.matchAll(pattern)) {
    const key = `${script} ${body}`;
    const times = (played.get(key) ?? 0) + 1;
    if (most !== undefined && times > Number(most)) continue;
    // Only a request that is let through to a job plays what its polls say.
    if (call === "poll" && due.create !== undefined && due.create !== "hang") continue;
    played.set(key, times);
    due[call as keyof Scripts] = what!;
  }
  return due;
}
