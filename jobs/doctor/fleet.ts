/** The doctor's checks of workers, their leader, and the slots. */
import {
  countHeld,
  deleteSilentWorker,
  findSilentWorkers,
  listQueueLoads,
  type QueueLoad,
  readLeadership,
} from "../../db/queue/doctor_fleet.ts";
import { listSlotOverrides } from "../../db/queue/slots.ts";
import { queues } from "../../db/queue/subtasks.ts";
import type { Check, Finding } from "./check.ts";
import { deadAfterMs } from "../lead/leader.ts";
import { describeOverride } from "../moves/slot_settings.ts";

const silent: Check = {
  name: "silent_workers",
  async examine({ sql }) {
    return (await findSilentWorkers(sql, deadAfterMs)).map(({ id, host, pid, silent_s }) => ({
      about: id,
      fault: true,
      text: `worker ${id} (${host}, process ${pid}) has been silent for ${silent_s} s`,
      advice: "it is signed out, and what it held is released; a leader does so within a second",
      fix: () => deleteSilentWorker(sql, id, deadAfterMs),
    }));
  },
};

const leader: Check = {
  name: "leader",
  async examine({ sql }) {
    const { holder, leads, workers } = await readLeadership(sql);
    if (leads || workers === 0) return [];
    const text = `${workers} workers are signed in and nobody leads them (the last was ${
      holder ?? "nobody"
    })`;
    return [{
      about: "queue",
      fault: true,
      text,
      advice: "a worker takes the lead within seconds: look at their logs",
    }];
  },
};

function judgeLoad({ queue, slots, room, running, workers, backlog }: QueueLoad): Finding[] {
  const found = (fault: boolean, what: string, text: string, advice: string): Finding => ({
    about: `${queue} ${what}`,
    fault,
    text,
    advice,
  });
  const waiting = backlog >= 1_000 ? "a thousand cells or more" : `${backlog} cells`;
  return [
    ...backlog > 0 && workers === 0
      ? [
        found(
          true,
          "unserved",
          `${waiting} wait in the queue ${queue}, which no living worker serves`,
          "start a worker: deno task worker",
        ),
      ]
      : [],
    ...backlog > 0 && workers > 0 && room === 0
      ? [
        found(
          true,
          "no room",
          `${waiting} wait in the queue ${queue}, in which its ${workers} workers have no slots`,
          `allowed over all are ${slots ?? 0}: look at queue_slots and at the settings of concurrency`,
        ),
      ]
      : [],
    ...slots === null && workers > 0
      ? [
        found(
          true,
          "unset",
          `the queue ${queue} has no row in queue_slots, so its workers get no share`,
          "a worker that starts writes it: start one anew",
        ),
      ]
      : [],
    ...slots !== null && running > Math.max(slots, room)
      ? [
        found(
          true,
          "over",
          `${running} cells of the queue ${queue} are under way, ${slots} are allowed`,
          "nothing new starts until enough of them have ended",
        ),
      ]
      : [],
    ...slots !== null && room > slots
      ? [
        found(
          false,
          "room",
          `the workers of the queue ${queue} have room for ${room}, ${slots} are allowed over all`,
          "some run with --slots, or a change is on its way",
        ),
      ]
      : [],
  ];
}

const load: Check = {
  name: "queues",
  async examine({ sql }) {
    return (await listQueueLoads(sql, queues, deadAfterMs)).flatMap(judgeLoad);
  },
};

const causes: Record<string, string> = {
  import: "brought over unfinished",
  pause: "paused",
  canary: "held because their first cells failed for one cause",
};

const held: Check = {
  name: "held_tasks",
  async examine({ sql }) {
    return (await countHeld(sql)).map(({ hold, tasks }) => ({
      about: hold,
      fault: false,
      text: `${tasks} open ${tasks === 1 ? "task is" : "tasks are"} ${causes[hold] ?? hold}`,
      advice: "deno task worker resume TASK lets one go on",
    }));
  },
};

const setByHand: Check = {
  name: "overrides",
  async examine({ sql }) {
    return (await listSlotOverrides(sql)).map((override) => ({
      about: override.queue,
      fault: false,
      text: describeOverride(override),
      advice: `deno task worker slots ${override.queue} --clear takes it back`,
    }));
  },
};

export const fleetChecks: Check[] = [silent, leader, load, setByHand, held];
