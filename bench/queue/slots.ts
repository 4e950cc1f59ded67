/** How full 150 slots are while there is more to do, with jobs of two seconds. */
import type { Http, HttpRequest } from "../../http.ts";
import { atLeast, type Report } from "./report.ts";
import { axesOf, sleep, type Stand, submit, until, withWorker } from "./stand.ts";

const slots = 150;
const jobMs = 2_000;

/** An image API in this process whose jobs take their time. */
function playSlow(): { http: Http; countOpen: () => number } {
  const doneAt = new Map<string, number>();
  let made = 0;
  const answer = (text: string) =>
    Promise.resolve({ kind: "answer" as const, status: 200, headers: new Headers(), text });
  const http = ({ method, url }: HttpRequest) => {
    if (method === "POST") {
      doneAt.set(`job-${++made}`, performance.now() + jobMs);
      return answer(`"job-${made}"`);
    }
    const id = String(url).split("/").at(-1)!;
    if (performance.now() < (doneAt.get(id) ?? 0)) return answer('{"task_status":"PENDING","artifacts":[]}');
    doneAt.delete(id);
    return answer('{"task_status":"SUCCESS","artifacts":[{"url":"http://i/1.png"}]}');
  };
  return { http, countOpen: () => doneAt.size };
}

/** Reports slots taken, and jobs that the image API had open, as shares of what was allowed. */
export async function measureSlots(
  stand: Stand,
  report: Report,
  { seconds }: { seconds: number },
): Promise<void> {
  await stand.flushRedis();
  await using base = await stand.openBase();
  await submit(base, axesOf(slots * (seconds / 2 + 8)));
  const { http, countOpen } = playSlow();
  const env = { IMAGE_POLLING_INTERVAL: "0.05", IMAGE_MAX_POLLING_ATTEMPTS: "10000" };
  let taken = 0;
  let open = 0;
  let ms = 0;
  let most = 0;
  await withWorker(base, { url: stand.redis.url }, { slots, http, env }, async (metrics) => {
    const readBusy = async () =>
      (await metrics.slotsBusy.get()).values.find(({ labels }) => labels.queue === "standard")?.value ?? 0;
    await until("all slots taken", async () => await readBusy() >= slots, { everyMs: 5 });
    const endAt = performance.now() + seconds * 1000;
    for (let before = performance.now(); before < endAt;) {
      const busy = await readBusy();
      const jobs = countOpen();
      await sleep(3);
      const now = performance.now();
      taken += busy * (now - before);
      open += jobs * (now - before);
      most = Math.max(most, busy);
      ms += now - before;
      before = now;
    }
  });
  const share = taken / ms / slots * 100;
  report({
    what: "slots taken while there is backlog, 150 slots, jobs of 2 s",
    value: share,
    unit: "%",
    goal: atLeast(share, 99.5, "%"),
  });
  report({
    what: "jobs open at the image API, as a share of the slots",
    value: open / ms / slots * 100,
    unit: "%",
  });
  report({
    what: "most slots taken at once",
    value: most,
    unit: "slots",
    goal: { text: `≤ ${slots}`, met: most <= slots },
  });
}
