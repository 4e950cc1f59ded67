/** The doctor's checks of workers, leader, slots and held tasks. */
import {
  countHeldTasks,
  deleteSilentWorker,
  findSilentWorkers,
  listLoadFaults,
  listQueueLoads,
  type LoadFault,
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

/** Returns the text of a fault of a queue's slots, and what a person can do. */
function describeLoadFault(fault: LoadFault, load: QueueLoad): Pick<Finding, "text" | "advice"> {
  const { queue, slots, running, workers, backlog } = load;
  const waiting = backlog >= 1_000 ? "1,000 cells or more" : counted(backlog, "cell");
  const wait = inflect(backlog, "waits", "wait");
  switch (fault) {
    case "unserved":
      return {
        text: `${waiting} ${wait} in queue ${queue}, which no living worker serves`,
        advice: "start a worker: deno task worker",
      };
    case "no slots":
      return {
        text: `${waiting} ${wait} in queue ${queue}, and its ${counted(workers, "worker")} ${
          inflect(workers, "has", "have")
        } no slots`,
        advice: `${allowed(slots ?? 0, "slot")}: run 'deno task worker slots ${queue}'`,
      };
    case "unset":
      return {
        text: `queue ${queue} has no row in queue_slots, so its workers get no slots`,
        advice: "each starting worker inserts the row: restart one",
      };
    case "over":
      return {
        text: `${counted(running, "cell")} of queue ${queue} ${inflect(running, "is", "are")} running, ${
          allowed(slots ?? 0)
        }`,
        advice: "no attempts start until enough of them have ended",
      };
  }
}

function judgeLoad(load: QueueLoad): Finding[] {
  const { queue, slots, room } = load;
  const faults = listLoadFaults(load).map((fault): Finding =>
    Object.assign({ about: `${queue} ${fault}`, fault: true }, describeLoadFault(fault, load))
  );
  if (slots === null || room <= slots) return faults;
  return [...faults, {
    about: `${queue} too many slots`,
    fault: false,
    text: `the workers of queue ${queue} hold ${counted(room, "slot")}, ${allowed(slots)}`,
    advice: "some workers run with --slots, or a change is being applied",
  }];
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
