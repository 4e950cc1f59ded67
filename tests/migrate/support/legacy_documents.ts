/** Documents of the newest generations, as the old backend writes them. */
import { ObjectId } from "mongodb";

const now = () => new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678));

/** Returns a user. */
export const makeUser = (email: string) => ({
  _id: new ObjectId(),
  email,
  hashed_password: "$2b$04$abcdefghijklmnopqrstuv",
  fullname: "A Tester",
  roles: ["user"],
  is_active: true,
  created_at: now(),
  updated_at: now(),
});

/** Returns a task of generation T3. */
export const makeTask = (username: string, id: string = crypto.randomUUID()) => ({
  _id: new ObjectId(),
  id,
  task_name: "a task",
  username,
  tags: [{ id: "1", type: "prompt", isVariable: false, value: "1girl", weight: 1 }],
  variables: { v0: { name: "", values: [], values_count: 0 } },
  settings: { concurrency: 10 },
  status: "processing",
  created_at: now(),
  updated_at: now(),
  total_images: 3,
  all_subtasks_completed: false,
  is_deleted: false,
  priority: 1,
});

/** Returns a pending subtask of generation S4. */
export const makeSubtask = (parent_task_id: string, index = 0) => ({
  _id: new ObjectId(),
  id: crypto.randomUUID() as string,
  parent_task_id,
  variable_indices: [index, null, null, null, null, null],
  variable_types_map: { v0: "seed" },
  type_to_variable: { seed: "v0" },
  status: "pending",
  result: null as Record<string, unknown> | null,
  error: null as string | null,
  retry_count: 0,
  prompts: [{ type: "freetext", weight: 1, value: "1girl" }],
  ratio: "1:1",
  seed: index + 1,
  use_polish: false,
  created_at: now(),
  updated_at: now(),
});

/** Returns the fields of a completed subtask that change. */
export const completed = (url: string) => ({
  status: "completed",
  result: { url, width: 1024, height: 1024, seed: 1, created_at: "2026-01-02T11:04:05.678000+08:00" },
  updated_at: new Date(),
});
