/** The values that columns of a task may hold. */

/**
 * How cells without a seed of their own get one. `shared`: one for the task; `per_combination`: one for each combination
 * of the content axes, which treatments share; `pinned`: one that is given; to each of these the number of the replicate
 * is added. `per_cell`: each its own, as v1 always did.
 */
export const seedPolicies = ["shared", "per_combination", "per_cell", "pinned"] as const;
export type SeedPolicy = (typeof seedPolicies)[number];

/** What an axis is for; one without a role counts as a treatment. */
export const axisRoles = ["treatment", "content", "replicate"] as const;
export type AxisRole = (typeof axisRoles)[number];

/** What the image API takes at most. */
export const seedMax = 2_147_483_647;

export const taskStatuses = ["pending", "processing", "completed", "failed", "cancelled"] as const;
export type TaskStatus = (typeof taskStatuses)[number];
