/** The plan of the draft, computed by the server after each pause in typing. */
import { useEffect, useState } from "preact/hooks";
import { type Schemas, unwrap, v2 } from "../../api/client.ts";
import { isOnline } from "../../api/network.ts";
import { type ApiError, asApiError, isAbort } from "../../api/problem.ts";
import { axisOfKey, parseSettings, toBody } from "./body.ts";
import type { Draft } from "./draft.ts";
import { isSeed } from "./fixed.tsx";

/** Pause in milliseconds after which the plan is asked for. */
const pauseMs = 350;

export interface PlanState {
  plan: Schemas["TaskPlan"] | undefined;
  error: ApiError | undefined;
  isLoading: boolean;
  retry: () => void;
}

/** Reports whether the server can plan the draft: it has a tag, and its options can be sent. */
export function isPlannable(draft: Draft): boolean {
  const isSeeded = draft.seedPolicy !== "pinned" || isSeed(draft.seed);
  return toBody(draft).tags.length > 0 && isSeeded && parseSettings(draft.settings) !== undefined;
}

/** Returns what the server says about single axes, by their ids. */
export function axisFaults(draft: Draft, error: ApiError | undefined): Map<string, string> {
  const faults = new Map<string, string>();
  for (const { field, wanted } of error?.fields ?? []) {
    const key = /(?:variables|axis_roles)\.(v\d)/.exec(field)?.[1];
    const axis = key === undefined ? undefined : axisOfKey(draft, key);
    if (axis) faults.set(axis.id, wanted);
  }
  return faults;
}

export function usePlan(draft: Draft): PlanState {
  const [state, setState] = useState<Omit<PlanState, "retry">>({
    plan: undefined,
    error: undefined,
    isLoading: false,
  });
  const [count, setCount] = useState(0);
  const { name: _, ...body } = toBody(draft);
  const key = isPlannable(draft) ? JSON.stringify(body) : "";
  useEffect(() => {
    if (key === "") return setState({ plan: undefined, error: undefined, isLoading: false });
    setState((before) => ({ ...before, isLoading: true }));
    const controller = new AbortController();
    const timer = setTimeout(async () => {
      try {
        const plan = await unwrap(
          v2.POST("/api/v2/tasks/plan", { body: JSON.parse(key), signal: controller.signal }),
        );
        setState({ plan, error: undefined, isLoading: false });
      } catch (error) {
        if (isAbort(error) || controller.signal.aborted) return;
        setState({ plan: undefined, error: asApiError(error), isLoading: false });
      }
    }, pauseMs);
    return () => {
      clearTimeout(timer);
      controller.abort();
    };
  }, [key, count, isOnline.value]);
  return { ...state, retry: () => setCount((before) => before + 1) };
}
