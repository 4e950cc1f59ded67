/** The demo's client of the v1 API, and the task that it submits as the frontend would. */
import { AppError } from "../../errors.ts";

const prompts = ["a quiet harbour at dawn", "a moonlit temple, night", "a desert road at noon"];
const seeds = [11, 22, 33, 44];

const unused = { name: "", values: [] };
const axis = (tag_id: string, name: string, values: (string | number)[]) => ({
  tag_id,
  name,
  values: values.map((value, i) => ({ id: `${tag_id}-${i}`, value: String(value) })),
});

/** The body of a task of 3 prompts × 4 seeds, as the frontend sends it. */
export const demoTask = {
  task_name: "contactsheet demo",
  username: "",
  tags: [
    { id: "1", type: "prompt", isVariable: true, value: "", name: "scene" },
    { id: "2", type: "seed", isVariable: true, value: "", name: "seed" },
    { id: "3", type: "ratio", isVariable: false, value: "4:3" },
  ],
  variables: {
    v0: axis("1", "scene", prompts),
    v1: axis("2", "seed", seeds),
    v2: unused,
    v3: unused,
    v4: unused,
    v5: unused,
  },
  settings: {},
};

/** Labels of the rows and columns of the contact sheet. */
export const demoAxes = { rows: prompts, columns: seeds.map((seed) => `seed ${seed}`) };

/** The fields of a task that the demo reads. */
export interface TaskView {
  id: string;
  status: string;
  total_images: number;
  processed_images: number;
}

/** The fields of a subtask that the demo reads. */
export interface SubtaskView {
  variable_indices: (number | null)[];
  status: string;
  error: string | null;
  result: { url: string; width: number; height: number; seed: number } | null;
}

/** A task with its subtasks. */
export type TaskDetailView = TaskView & { dramatiq_tasks: SubtaskView[] };

/** A signed-in client. Its methods return the `data` of an answer. */
export interface Client {
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
}

async function readData<T>(response: Response): Promise<T> {
  const text = await response.text();
  if (!response.ok) {
    throw new AppError("internal", `requesting '${response.url}': status ${response.status}: ${text}`);
  }
  return JSON.parse(text).data as T;
}

/** Signs in with the login form. @throws AppError internal with the answer if it is rejected */
export async function signIn(address: string, email: string, password: string): Promise<Client> {
  const response = await fetch(`${address}/api/v1/auth/login`, {
    method: "POST",
    body: new URLSearchParams({ username: email, password }),
  });
  const { access_token } = await readData<{ access_token: string }>(response);
  const headers = { authorization: `Bearer ${access_token}`, "content-type": "application/json" };
  return {
    get: async (path) => readData(await fetch(`${address}/api/v1${path}`, { headers })),
    post: async (path, body) =>
      readData(
        await fetch(`${address}/api/v1${path}`, { method: "POST", headers, body: JSON.stringify(body) }),
      ),
  };
}
