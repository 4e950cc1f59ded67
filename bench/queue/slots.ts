/** The use of 150 slots while there is a backlog of two-second jobs. */
import type { Http, HttpRequest } from "../../http.ts";
import { atLeast, type Report } from "../report.ts";
import { axisLengths, type Harness, sleep, submit, waitUntil, withWorker } from "./harness.ts";

const slots = 150;
const jobMs = 2_000;

/** Creates an in-process image API whose jobs take two seconds, and a count of its open jobs. */
function createSlowImageApi(): { http: Http; countOpen: () => number } {
  const doneAt = new Map<string, number>();
  let jobCount = 0;
  const answer = (text: string) =>
    Promise.resolve({ kind: "answer" as const, status: 200, headers: new Headers(), text });
  const http = ({ method, url }: HttpRequest) => {
    if (method === "POST") {
      doneAt.set(`job-${++jobCount}`, performance.now() + jobMs);
      return answer(`"job-${jobCount}"`);
    }
    const id = String(url).split("/").at(-1)!;
    if (performance.now() < (doneAt.get(id) ?? 0)) return answer('{"task_status":"PENDING","artifacts":[]}');
    doneAt.delete(id);
    return answer('{"task_status":"SUCCESS","artifacts":[{"url":"http://i/1.png"}]}');
  };
  return { http, countOpen: () => doneAt.size };
}

/** Reports the mean numbers of used slots and of open jobs as shares of all slots, and the highest number of used slots. */
export async function measureSlots(
  harness: Harness,
  report: Report,
  { seconds }: { seconds: number },
): Promise<void> {
  await harness.flushRedis();
  await using database = await harness.createDatabase();
  await submit(database, axisLengths(slots * (seconds / 2 + 8)));
  const { http, countOpen } = createSlowImageApi();
  const env = { IMAGE_POLLING_INTERVAL: "0.05", IMAGE_MAX_POLLING_ATTEMPTS: "10000" };
  let slotMs = 0;
  let jobMsSum = 0;
  let ms = 0;
  let busyMax = 0;
  await withWorker(database, { url: harness.redis.url }, { slots, http, env }, async (metrics) => {
    const readBusy = async () =>
      (await metrics.slotsBusy.get()).values.find(({ labels }) => labels.queue === "standard")?.value ?? 0;
    await waitUntil("all slots in use", async () => await readBusy() >= slots, { everyMs: 5 });
    const endAt = performance.now() + seconds * 1000;
    for (let before = performance.now(); before < endAt;) {
      const busy = await readBusy();
      const jobs = countOpen();
      await sleep(3);
      const now = performance.now();
      slotMs += busy * (now - before);
      jobMsSum += jobs * (now - before);
      busyMax = Math.max(busyMax, busy);
      ms += now - before;
      before = now;
    }
  });
  const share = slotMs / ms / slots * 100;
  report({
    what: "used slots with a backlog, 150 slots, jobs of 2 s",
    value: share,
    unit: "%",
    goal: atLeast(share, 99.5, "%"),
  });
  report({
    what: "open jobs at the image API as a share of the slots",
    value: jobMsSum / ms / slots * 100,
    unit: "%",
  });
  report({
    what: "most slots in use at once",
    value: busyMax,
    unit: "slots",
    goal: { text: `≤ ${slots}`, met: busyMax <= slots },
  });
}
