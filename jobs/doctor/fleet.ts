/** The doctor's checks of workers, leader, slots and held tasks. */
import {
  countHeldTasks,
  deleteSilentWorker,
  findSilentWorkers,
  listQueueLoads,
  type QueueLoad,
  readLeadership,
} from "../../db/queue/doctor_fleet.ts";
import { listSlotOverrides } from "../../db/queue/slots.ts";
import { queues } from "../../db/queue/subtasks.ts";
import type { Check, Finding } from "./check.ts";
import { deadAfterMs } from "../../db/queue/times.ts";
import { describeOverride } from "../moves/slot_settings.ts";
import { counted, inflect } from "../../phrases.ts";

const silent: Check = {
  name: "silent_workers",
  async examine({ sql }) {
    return (await findSilentWorkers(sql, deadAfterMs)).map(({ id, host, pid, silent_s }) => ({
      about: id,
      fault: true,
      text: `worker ${id} (${host}, process ${pid}) has been silent for ${silent_s} s`,
      advice: "it is signed out and its leases are released; a running leader does so within a second",
      fix: () => deleteSilentWorker(sql, id, deadAfterMs),
    }));
  },
};

const leader: Check = {
  name: "leader",
  async examine({ sql }) {
    const { holder, leads, workers } = await readLeadership(sql);
    if (leads || workers === 0) return [];
    return [{
      about: "queue",
      fault: true,
      text: `${counted(workers, "worker")} ${
        inflect(workers, "is", "are")
      } signed in and none is the leader (the last was ${holder ?? "none"})`,
      advice: "a worker becomes leader within seconds; if none does, read the workers' logs",
    }];
  },
};

/** Returns how many slots are allowed. */
const allowed = (slots: number, noun?: string): string =>
  `${noun ? counted(slots, noun) : slots} ${inflect(slots, "is", "are")} allowed`;

function judgeLoad({ queue, slots, room, running, workers, backlog }: QueueLoad): Finding[] {
  const findings: Finding[] = [];
  const add = (kind: "fault" | "note", what: string, text: string, advice: string) =>
    findings.push({ about: `${queue} ${what}`, fault: kind === "fault", text, advice });
  const waiting = backlog >= 1_000 ? "1,000 cells or more" : counted(backlog, "cell");
  const wait = inflect(backlog, "waits", "wait");
  if (backlog > 0 && workers === 0) {
    const text = `${waiting} ${wait} in queue ${queue}, which no living worker serves`;
    add("fault", "unserved", text, "start a worker: deno task worker");
  }
  if (backlog > 0 && workers > 0 && room === 0) {
    const text = `${waiting} ${wait} in queue ${queue}, and its ${counted(workers, "worker")} ${
      inflect(workers, "has", "have")
    } no slots`;
    add("fault", "no slots", text, `${allowed(slots ?? 0, "slot")}: run 'deno task worker slots ${queue}'`);
  }
  if (slots === null && workers > 0) {
    const text = `queue ${queue} has no row in queue_slots, so its workers get no slots`;
    add("fault", "unset", text, "each starting worker inserts the row: restart one");
  }
  if (slots !== null && running > Math.max(slots, room)) {
    const text = `${counted(running, "cell")} of queue ${queue} ${inflect(running, "is", "are")} running, ${
      allowed(slots)
    }`;
    add("fault", "over", text, "no attempts start until enough of them have ended");
  }
  if (slots !== null && room > slots) {
    const text = `the workers of queue ${queue} hold ${counted(room, "slot")}, ${allowed(slots)}`;
    add("note", "too many slots", text, "some workers run with --slots, or a change is being applied");
  }
  return findings;
}

const load: Check = {
  name: "queues",
  async examine({ sql }) {
    return (await listQueueLoads(sql, queues, deadAfterMs)).flatMap(judgeLoad);
  },
};

const holdTexts: Record<string, string> = {
  import: "held since the import",
  pause: "paused",
  canary: "held because the first cells failed with the same cause",
};

const held: Check = {
  name: "held_tasks",
  async examine({ sql }) {
    return (await countHeldTasks(sql)).map(({ hold, tasks }) => ({
      about: hold,
      fault: false,
      text: `${counted(tasks, "open task")} ${inflect(tasks, "is", "are")} ${holdTexts[hold] ?? hold}`,
      advice: "deno task worker resume TASK continues a task",
    }));
  },
};

const overrides: Check = {
  name: "overrides",
  async examine({ sql }) {
    return (await listSlotOverrides(sql)).map((override) => ({
      about: override.queue,
      fault: false,
      text: describeOverride(override),
      advice: `deno task worker slots ${override.queue} --clear ends the override`,
    }));
  },
};

export const fleetChecks: Check[] = [silent, leader, load, overrides, held];
