/** Values and limits of task columns. */

/**
 * The ways in which cells without a seed from a tag get one. `shared`: one seed for the task;
 * `per_combination`: one for each combination of content levels, shared by all treatments; `pinned`: a given
 * seed. To each of these the index of the replicate is added. `per_cell`: a random seed for each cell, as in
 * v1.
 */
export const seedPolicies = ["shared", "per_combination", "per_cell", "pinned"] as const;
export type SeedPolicy = (typeof seedPolicies)[number];

/** Roles of an axis. An axis without a role counts as a treatment. */
export const axisRoles = ["treatment", "content", "replicate"] as const;
export type AxisRole = (typeof axisRoles)[number];

/** Largest seed that the image API accepts. */
export const seedMax = 2_147_483_647;

/** Maximum cells of a task that is created or extended here. */
export const cellsMax = 50_000;

/** Largest number that v2 accepts for a cell. Migrated tasks can have more than `cellsMax` cells. */
export const cellNumberMax = 99_999;

export const taskStatuses = ["pending", "processing", "completed", "failed", "cancelled"] as const;
export type TaskStatus = (typeof taskStatuses)[number];
