/** Rules of the server that JSON Schema cannot express. The document has each of them as a text. */

export interface Fault {
  /** Empty if the problem names no field. */
  field: string;
  wanted: string;
}

/** Ids in example requests. */
export interface ExampleIds {
  /** A task of 3 × 2 cells on the axes v0 and v1. */
  task: string;
  /** A task of 101 × 100 cells. */
  large: string;
}

export interface InexpressibleRule {
  name: string;
  /** Matches the method and the path of the routes that have the rule. */
  route: RegExp;
  field: RegExp;
  wanted: RegExp;
  /** Matches the text in the document, at the route or at the head. */
  text: RegExp;
  /** A request that the document allows and the server refuses for this rule. */
  example: (ids: ExampleIds) => [method: string, path: string, body?: unknown];
}

const nest = (depth: number): unknown => depth === 0 ? 1 : [nest(depth - 1)];
const prompt = { type: "prompt", isVariable: true, name: "p" };
const variables = { v0: { name: "p", values: ["a", "b"] } };

const taskRules: InexpressibleRule[] = [
  {
    name: "a variable tag names a variable",
    route: /^POST .*\/(?:tasks|plan|clone)$/,
    field: /^body\.tags\.\d+\.name$/,
    wanted: /^the name of one of the variables$/,
    text: /`isVariable` with the `name` of a variable/,
    example: () => ["POST", "/tasks", { name: "x", tags: [{ ...prompt, name: "other" }], variables }],
  },
  {
    name: "seeds of tags",
    route: /^POST .*\/(?:tasks|plan|clone)$/,
    field: /^body\.tags$/,
    wanted: /^a seed from -2\^63 to/,
    text: /A seed has at most 64 bits/,
    example: () => ["POST", "/tasks/plan", { tags: [{ type: "seed", value: "9223372036854775808" }] }],
  },
  {
    name: "number of cells",
    route: /^POST .*\/(?:tasks|clone)$/,
    field: /^body\.variables$/,
    wanted: /^at most 50000 combinations/,
    text: /A task has at most 50,000 cells/,
    example: () => {
      const values = Array.from({ length: 224 }, (_, i) => `${i}`);
      const two = { v0: { name: "p", values }, v1: { name: "q", values } };
      return ["POST", "/tasks", { name: "x", tags: [prompt, { ...prompt, name: "q" }], variables: two }];
    },
  },
  {
    name: "seed with replicates",
    route: /^POST .*\/(?:tasks|plan|clone)$/,
    field: /^body\.seed$/,
    wanted: /^at most \d+$/,
    text: /Together with the replicates it stays within the maximum/,
    example: () => {
      const pinned = { seed_policy: "pinned", seed: 2_147_483_647, axis_roles: { v0: "replicate" } };
      return ["POST", "/tasks/plan", { tags: [prompt], variables, ...pinned }];
    },
  },
  {
    name: "seed policy of the merged task",
    route: /^POST .*\/clone$/,
    field: /^body\.seed$/,
    wanted: /^(?:a seed from|to be left out)/,
    text: /After the merge, `seed` and `axis_roles` follow the rules of `TaskIn`/,
    example: ({ task }) => ["POST", `/tasks/${task}/clone`, { seed_policy: "shared", seed: 1 }],
  },
  {
    name: "roles of the merged task",
    route: /^POST .*\/clone$/,
    field: /^body\.axis_roles\.v[0-5]$/,
    wanted: /^a variable with values$/,
    text: /After the merge, `seed` and `axis_roles` follow the rules of `TaskIn`/,
    example: ({ task }) => ["POST", `/tasks/${task}/clone`, { axis_roles: { v3: "content" } }],
  },
  {
    name: "roles of the task's axes",
    route: /^PATCH \/api\/v2\/tasks\/\{id\}$/,
    field: /^body\.axis_roles\.v[0-5]$/,
    wanted: /^a variable with values$/,
    text: /Axes in `axis_roles` are variables of the task that have values/,
    example: ({ task }) => ["PATCH", `/tasks/${task}`, { axis_roles: { v3: "content" } }],
  },
];

const axisRules: InexpressibleRule[] = [
  {
    name: "axes of the task",
    route: /\/(?:stats|slice|pairs\/next|retry|prune)$/,
    field: /^(?:query\.(?:axis|by|x|y|at)|body\.where\.\w+)$/,
    wanted: /^one of (?:v|batch)/,
    text: /ax[ei]s of the task/i,
    example: ({ task }) => ["GET", `/tasks/${task}/stats?axis=v4`],
  },
  {
    name: "indices on the task's axes",
    route: /\/(?:stats|slice|retry|prune)$/,
    field: /^(?:query\.(?:baseline|at)|body\.where\.\w+)$/,
    wanted: /^(?:\w+ with an index: )?(?:0|0 to \d+)$/,
    text: /(?:Index|[Ii]ndices) /,
    example: ({ task }) => ["POST", `/tasks/${task}/prune`, { where: { v1: [2] } }],
  },
  {
    name: "different axes",
    route: /\/(?:stats|slice)$/,
    field: /^query\.(?:by|y|at)$/,
    wanted: /^(?:one of v|axes other than x and y$)/,
    text: /another one than|other than `x` and `y`/,
    example: ({ task }) => ["GET", `/tasks/${task}/slice?x=v0&y=v1&at=v0:1`],
  },
  {
    name: "size of a slice",
    route: /\/slice$/,
    field: /^query\.x$/,
    wanted: /^axes with at most 10000 cells/,
    text: /A slice has at most 10,000 cells/,
    example: ({ large }) => ["GET", `/tasks/${large}/slice?x=v0&y=v1`],
  },
];

export const inexpressibleRules: InexpressibleRule[] = [
  {
    name: "texts and numbers that PostgreSQL can store",
    route: /^/,
    field: /^body/,
    wanted: /without NUL and without half characters$|^a number below 1\.8e308$/,
    text: /Texts contain neither NUL nor half of a surrogate pair, and numbers are below 1\.8e308/,
    example: ({ task }) => ["PUT", `/tasks/${task}/cells/0/rating`, { skipped: "a\ud800b" }],
  },
  {
    name: "depth of a body",
    route: /^POST/,
    field: /^$/,
    wanted: /nested deeper than 64 levels/,
    text: /A body is nested at most 64 levels deep/,
    example: () => ["POST", "/tasks", { name: "x", tags: [{ type: "prompt", value: nest(62) }] }],
  },
  {
    name: "cursors are those of the server",
    route: /^GET/,
    field: /^query\.cursor$/,
    wanted: /^'next' of the page before$/,
    text: /`next` of the previous page/,
    example: () => ["GET", "/tasks?cursor=x"],
  },
  {
    name: "bytes of a new password",
    route: /\/users/,
    field: /password$/,
    wanted: /^8 characters to 72 bytes$/,
    text: /At most 72 bytes in UTF-8/,
    example: () => ["POST", "/users", { email: "a@b.c", password: "ä".repeat(37) }],
  },
  {
    name: "guessable passwords",
    route: /\/users/,
    field: /password$/,
    wanted: /^a password that is hard to guess$/,
    text: /neither common nor easy to guess here/,
    example: () => ["POST", "/users", { email: "a@b.c", password: "qwertyuiop" }],
  },
  {
    name: "two different tasks",
    route: /\/compare$/,
    field: /^query\.tasks$/,
    wanted: /^two different tasks$/,
    text: /Ids of tasks A and B, which are different/,
    example: ({ task }) => ["GET", `/compare?tasks=${task},${task}`],
  },
  {
    name: "two different cells",
    route: /\/votes$/,
    field: /^body\.right\.cell$/,
    wanted: /^another cell than the left one$/,
    text: /Its `cell` is another one than that of `left`/,
    example: ({ task }) => {
      const image = { cell: 0, version: 1 };
      return ["POST", `/tasks/${task}/votes`, { left: image, right: image, outcome: "tie" }];
    },
  },
  {
    name: "hosts of webhooks",
    route: /\/webhooks$/,
    field: /^body\.url$/,
    wanted: /^(?:a host of WEBHOOK_HOSTS|a URL (?:without user and fragment|with a valid host and port))$/,
    text: /URL without user and fragment, on a host that the operator permits/,
    example: ({ task }) => ["POST", `/tasks/${task}/webhooks`, { url: "https://elsewhere.example/" }],
  },
  ...taskRules,
  ...axisRules,
];
