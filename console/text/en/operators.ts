/** Texts of the pages System and Migration. */
import { counted, formatNumber } from "../format.ts";

/** Names of fields that differ from those of v2. */
const labels: Record<string, string> = {
  accounted: "Accounted for",
  at: "When",
  attempt: "Attempts",
  backlog: "Waiting cells",
  captured: "Way back open",
  changes: "Not written back",
  create_ms: "ms to accept",
  fullname: "Name",
  sample: "Old → here",
  share: "Share in %",
  task_name: "Run",
  verdict: "Verified",
};

/** Fields whose values are names with underscores. */
const named = /^(check|kind|state)$/;

export const text = {
  onlyStaff: "This page is for admins and managers",
  confirm: "Confirm",
  done: (action: string) => `Done: ${action}`,
  /** The name of a field of v2. */
  label: (name: string): string =>
    labels[name] ??
      (name[0]!.toUpperCase() + name.slice(1)).replace(/^Is_(.)/, (_, first) => first.toUpperCase())
        .replace(/_(at|seconds)$/, "").replaceAll("_", " "),
  /** A value of a field of v2. */
  value: (name: string, value: string): string =>
    value === "true"
      ? "yes"
      : value === "false"
      ? "no"
      : named.test(name)
      ? value.replaceAll("_", " ")
      : value,
  /** A finding of the doctor. @param text the server's words */
  finding: (_check: string, text: string) => text,
  system: {
    tabs: {
      queues: "Queues",
      workers: "Workers",
      letters: "Dead letters",
      doctor: "Doctor",
      users: "Users",
      webhooks: "Webhooks",
    },
    noQueue: "No worker has started yet",
    set: "Set slots",
    setText: "For all workers together, whatever backlog and health say. Running attempts finish.",
    duration: "For",
    clear: "End override",
    override: (slots: number, by: string, end: string) =>
      `Set to ${counted(slots, "slot", "slots")} by ${by}, ends ${end}`,
    clearText: "Backlog and health decide again.",
    changes: "Recent changes",
    noWorker: "No worker is registered",
    noLetter: "Nothing has failed for good",
    causes: "By cause",
    latest: "Latest",
    draw: "Draw again",
    drawAll: "Draw all again",
    again: (cells: number) => `Draw ${counted(cells, "cell", "cells")} again`,
    againText: "Ended runs reopen; cancelled ones stay as they are.",
    healthy: "No faults were found",
    look: "Look again",
    doctorText: "What two looks have found. The command also looks at Redis, and repairs.",
    noUser: "No user matches",
    actions: (name: string) => `Actions for ${name}`,
    roles: "Change roles",
    endSessions: "End all sessions",
    block: "Block",
    blockText: "All sessions end, and signing in is refused.",
    unblock: "Unblock",
    noWebhook: "No run has a webhook",
    deliveries: "Deliveries",
    test: "Send a test event",
  },
  migration: {
    none: "No migration is under way",
    noneText:
      "To move from the old backend and its MongoDB to this system, start the guide on the server. A new installation needs none.",
    phases: {
      old: "Old backend",
      shadow: "Shadow",
      canary: "Canary",
      holding: "Switching",
      new: "This system",
    },
    to: { old: "All to the old backend", shadow: "Compare answers", canary: "Set the share" },
    effects: {
      old: "The old backend answers everything, and nothing is compared. No write is lost.",
      shadow: "The old backend answers everything. A sample of the answers is compared with this system's.",
      canary: "This system answers the reads of this share of the users. Writes go to the old backend.",
    },
    next: "Next",
    nextText: (_name: string, text: string) => text,
    onlyThere: "The switch and the way back are made on the command line only.",
    ledger: "Ledger: documents = exact + adjusted + quarantined + waiting + excluded",
    gate: "Gate",
    noGate: "Nobody has asked the gate yet. This command asks and changes nothing.",
    passed: (checks: number) => `${formatNumber(checks)} passed`,
    rowless: "Documents without a row",
    shadow: "Shadow",
    differences: "Differences",
    processes: "API processes before the old backend",
    history: "History",
  },
};
