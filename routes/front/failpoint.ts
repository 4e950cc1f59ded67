/** The failpoints of the front. */
import { passFailpoint } from "../../failpoints.ts";

/** In the order in which a look at the phase, a read and a write reach them. */
export const frontFailpoints = [
  "front.look_begun",
  "front.phase_read",
  "front.phase_taken",
  "front.acknowledged",
  "front.read_ours",
  "front.read_proxied",
  "front.write_waits",
  "front.write_released",
  "front.write_admitted",
  "front.write_counted",
  "front.write_answered",
  "front.write_noted",
  "front.write_ours",
  "front.write_ours_done",
] as const;

/** Marks a failpoint. */
export function failpoint(name: (typeof frontFailpoints)[number]): void {
  passFailpoint(name);
}
