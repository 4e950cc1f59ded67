/** The two backends of the image API, and the queues that each draws. */
import type { Queue } from "./subtasks.ts";

export const backendNames = ["standard", "lumina"] as const;
export type BackendName = (typeof backendNames)[number];

/** Returns the backend that draws a queue. Queue `high` has cells of both; `standard` draws most of them. */
export const backendOf = (queue: Queue): BackendName => queue === "lumina" ? "lumina" : "standard";
