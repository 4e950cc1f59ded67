/** Conditions of the fire drill: what really happens, and the alerts whose expressions must become true by it. */
import { spawnProgram } from "../../servers/spawn.ts";
import { pause, retry } from "../servers.ts";
import type { DrillRig } from "./rig.ts";

export interface Condition {
  about: string;
  /** Alerts that must come. */
  alerts: string[];
  /** Causes the condition once. It is called again every half second until all alerts have come. */
  cause(rig: DrillRig): Promise<void>;
  /** Begins the condition, before the first call of `cause`. */
  begin?(rig: DrillRig): Promise<void>;
  /** Ends the condition. */
  end?(rig: DrillRig): Promise<void>;
}

async function call(url: string, init: RequestInit = {}): Promise<void> {
  const answer = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) }).catch(() => undefined);
  await answer?.body?.cancel();
}

const signIn = ({ origin }: DrillRig): Promise<void> =>
  call(`${origin}/api/v1/auth/login`, {
    method: "POST",
    body: new URLSearchParams({ username: "nobody@example.com", password: "wrong" }),
  });

async function repeat(times: number, work: () => Promise<void>): Promise<void> {
  for (let done = 0; done < times; done += 25) await Promise.all(Array.from({ length: 25 }, work));
}

/** Kills one of the processes that share the port of the API. Their parent starts it again. */
async function killProcess({ api }: DrillRig): Promise<void> {
  const { stdout } = await new Deno.Command("ps", { args: ["-o", "pid=", "--ppid", String(api.pid)] })
    .output();
  const [pid] = new TextDecoder().decode(stdout).trim().split(/\s+/).map(Number);
  if (pid) Deno.kill(pid, "SIGKILL");
  await pause(1000);
}

/** Runs `deno task worker …`. */
async function runWorkerCommand({ env }: DrillRig, ...args: string[]): Promise<void> {
  const command = await spawnProgram("worker", env, /./, args);
  await command.ended;
}

const nothing = () => Promise.resolve();
const prompts = (count: number, script: string) =>
  Array.from({ length: count }, (_, index) => `${script} ${index}`);

const waitUntilTrue = ({ prometheus }: DrillRig, expr: string): Promise<void> =>
  retry(async () => {
    if (await prometheus.count(expr) === 0) throw new Error(`waiting for ${expr}`);
  });

/**
 * All conditions, in the order in which they are caused: first those whose share many other requests would lower, last
 * those that end processes for good.
 */
export const conditions: Record<string, Condition> = {
  postgres: {
    about: "PostgreSQL cannot be reached",
    alerts: ["NoLeader", "ApiUnavailable"],
    begin({ postgres }) {
      postgres.set("refuse");
      postgres.cut();
      return nothing();
    },
    cause: ({ origin, token }) =>
      repeat(25, () => call(`${origin}/api/v1/tasks`, { headers: { authorization: `Bearer ${token}` } })),
    async end(rig) {
      rig.postgres.set("pass");
      await waitUntilTrue(rig, "contactsheet_leading == 1");
    },
  },
  old_backend: {
    about: "the old backend behind the API does not answer",
    alerts: ["FrontProxyFailures"],
    cause: ({ frontOrigin }) => repeat(50, () => call(`${frontOrigin}/api/v1/users/me`)),
  },
  failing_task: {
    about: "the image API answers errors to every job of a large task",
    alerts: ["AttemptsFail", "TasksHeldByCanary"],
    begin: async (rig) => void await rig.submit(prompts(80, "@@create:451")),
    // Tasks that are too small to be held: a counter that no longer rises has no rate.
    cause: async (rig) => void await rig.submit(prompts(5, "@@create:451")),
  },
  no_slots: {
    about: "an operator sets the slots of a queue to 0 while cells wait",
    alerts: ["SlotsZero", "QueueStuck"],
    async begin(rig) {
      await runWorkerCommand(rig, "slots", "standard", "0", "--for", "10m", "--reason", "drill");
      // Cells that are submitted earlier would still be drawn.
      await waitUntilTrue(rig, 'contactsheet_slots{queue="standard"} == 0');
      await rig.submit(prompts(5, "waits"));
    },
    cause: nothing,
    end: (rig) => runWorkerCommand(rig, "slots", "standard", "--clear"),
  },
  redis: {
    about: "Redis cannot be reached",
    alerts: ["RedisFailing", "LoginsRefused"],
    begin({ redis }) {
      redis.set("refuse");
      redis.cut();
      return nothing();
    },
    cause: signIn,
    end({ redis }) {
      redis.set("pass");
      return nothing();
    },
  },
  crashes: {
    about: "processes of the API are killed again and again",
    alerts: ["ApiProcessRestarts"],
    cause: killProcess,
  },
  sign_ins: {
    about: "one address signs in far too often",
    alerts: ["RequestsThrottled"],
    cause: (rig) => repeat(400, () => signIn(rig)),
  },
  worker: {
    about: "the only worker is killed",
    alerts: ["WorkerDown", "NoWorkers"],
    begin: async ({ worker }) => void await worker.end("SIGKILL"),
    cause: nothing,
  },
  api: {
    about: "the API is stopped",
    alerts: ["ApiDown", "ApiGone"],
    begin: async ({ api }) => void await api.end("SIGTERM"),
    cause: nothing,
  },
};
