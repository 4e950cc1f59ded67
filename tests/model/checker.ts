/** An explicit-state model checker. It explores every reachable state of a model breadth first and checks its rules. */

/**
 * An action of the model. A `step` is performed by the system itself. A `fault` and a `request` of a user may happen, but
 * progress must not depend on them.
 */
export interface Action<S> {
  name: string;
  kind: "step" | "fault" | "request";
  /** Returns every state that the action may lead to; none if it is not possible. */
  next: (state: S) => S[];
}

/** A model and its rules. */
export interface Model<S> {
  start: S;
  /** Returns equal texts for equivalent states. */
  key: (state: S) => string;
  actions: Action<S>[];
  /** Rules that hold in every state. */
  states: { name: string; holds: (state: S) => boolean }[];
  /** Rules that hold for every move. */
  moves: { name: string; holds: (from: S, to: S, action: string) => boolean }[];
  /** A state of this kind must be reachable from every state by steps alone. */
  goal: { name: string; holds: (state: S) => boolean };
}

/** A broken rule. */
export interface Violation<S> {
  /** Name of the rule. */
  rule: string;
  /** Names of the actions of a shortest path from the start to the violation. */
  trace: string[];
  state: S;
}

/** The result of an exploration. */
export interface Report<S> {
  states: number;
  moves: number;
  /** Largest number of moves on a shortest path to a state. */
  depth: number;
  /** Names of the performed actions. */
  performed: Set<string>;
  violation?: Violation<S>;
}

/** A growing list of pairs of numbers. */
class Pairs {
  #items = new Int32Array(1 << 16);
  length = 0;

  push(from: number, to: number): void {
    if (2 * this.length === this.#items.length) {
      const wider = new Int32Array(2 * this.#items.length);
      wider.set(this.#items);
      this.#items = wider;
    }
    this.#items[2 * this.length] = from;
    this.#items[2 * this.length++ + 1] = to;
  }

  from = (i: number): number => this.#items[2 * i]!;
  to = (i: number): number => this.#items[2 * i + 1]!;
}

class Search<S> {
  readonly #model: Model<S>;
  readonly #statesMax: number;
  readonly #index = new Map<string, number>();
  readonly #found: S[] = [];
  readonly #parent: number[] = [];
  readonly #by: string[] = [];
  readonly #depth: number[] = [];
  readonly #steps = new Pairs();
  readonly #goal: boolean[] = [];
  readonly #performed = new Set<string>();
  #moves = 0;

  constructor(model: Model<S>, statesMax: number) {
    this.#model = model;
    this.#statesMax = statesMax;
  }

  run(): Report<S> {
    const violation = this.#explore() ?? this.#findStuck();
    const report = {
      states: this.#found.length,
      moves: this.#moves,
      depth: this.#depth.at(-1) ?? 0,
      performed: this.#performed,
    };
    return violation ? { ...report, violation } : report;
  }

  /** Returns the index of a state and adds it if it is new. */
  #add(state: S, parent: number, by: string): number {
    const key = this.#model.key(state);
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const at = this.#found.length;
    if (at === this.#statesMax) {
      throw new RangeError(`explored ${at} states: the model has more than the limit`);
    }
    this.#index.set(key, at);
    this.#found.push(state);
    this.#parent.push(parent);
    this.#by.push(by);
    this.#depth.push(parent < 0 ? 0 : this.#depth[parent]! + 1);
    this.#goal.push(this.#model.goal.holds(state));
    return at;
  }

  #explore(): Violation<S> | undefined {
    this.#add(this.#model.start, -1, "");
    for (let at = 0; at < this.#found.length; at++) {
      const state = this.#found[at]!;
      for (const { name, kind, next } of this.#model.actions) {
        for (const to of next(state)) {
          this.#moves++;
          this.#performed.add(name);
          const known = this.#found.length;
          const index = this.#add(to, at, name);
          if (kind === "step" && index !== at) this.#steps.push(at, index);
          const brokenModels = this.#model.moves.find(({ holds }) => !holds(state, to, name)) ??
            (index < known ? undefined : this.#model.states.find(({ holds }) => !holds(to)));
          if (brokenModels) return { rule: brokenModels.name, trace: [...this.#trace(at), name], state: to };
        }
      }
    }
  }

  #trace(at: number): string[] {
    const names: string[] = [];
    for (let i = at; i > 0; i = this.#parent[i]!) names.unshift(this.#by[i]!);
    return names;
  }

  /** Follows steps backwards from the goal states. States that are not reached are stuck. */
  #findStuck(): Violation<S> | undefined {
    const count = this.#found.length;
    const first = new Int32Array(count + 1);
    for (let i = 0; i < this.#steps.length; i++) first[this.#steps.to(i) + 1]!++;
    for (let i = 0; i < count; i++) first[i + 1]! += first[i]!;
    const fill = first.slice();
    const before = new Int32Array(this.#steps.length);
    for (let i = 0; i < this.#steps.length; i++) before[fill[this.#steps.to(i)]!++] = this.#steps.from(i);
    const reached = Uint8Array.from(this.#goal, Number);
    const open = [...reached.keys()].filter((at) => reached[at] === 1);
    for (let at = open.pop(); at !== undefined; at = open.pop()) {
      for (let i = first[at]!; i < first[at + 1]!; i++) {
        const earlier = before[i]!;
        if (reached[earlier] === 1) continue;
        reached[earlier] = 1;
        open.push(earlier);
      }
    }
    const stuck = reached.indexOf(0);
    if (stuck < 0) return undefined;
    return { rule: this.#model.goal.name, trace: this.#trace(stuck), state: this.#found[stuck]! };
  }
}

/**
 * Explores a model until a rule is broken or every state was visited.
 *
 * @throws RangeError if there are more than `statesMax` states
 */
export function check<S>(model: Model<S>, { statesMax = 1_000_000 } = {}): Report<S> {
  return new Search(model, statesMax).run();
}
