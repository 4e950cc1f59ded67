/** The catalogue of faults. */
import { networkFaults } from "./faults/network.ts";
import { postgresFaults } from "./faults/postgres.ts";
import { redisFaults } from "./faults/redis.ts";
import { workerFaults } from "./faults/workers.ts";
import type { Fault } from "./rig.ts";

const catalogue = { ...workerFaults, ...redisFaults, ...postgresFaults, ...networkFaults };

/** Name of a fault. */
export type FaultKind = keyof typeof catalogue;

export const faults: Record<FaultKind, Fault> = catalogue;
export const faultKinds = Object.keys(catalogue) as FaultKind[];
