/** A small explicit-state checker: every reachable state of a model, breadth first, against what must hold. */

/**
 * What can happen. A `step` is what the system does by itself when it is left alone; a `fault` and a `wish` (of a
 * user) may happen, but nothing may depend on them.
 */
export interface Action<S> {
  name: string;
  kind: "step" | "fault" | "wish";
  /** Every state that this may lead to; none where it cannot happen. */
  next: (state: S) => S[];
}

export interface Model<S> {
  start: S;
  /** The same text for states that differ in nothing that matters. */
  key: (state: S) => string;
  actions: Action<S>[];
  /** Must hold in every state. */
  states: { name: string; holds: (state: S) => boolean }[];
  /** Must hold for every move. */
  moves: { name: string; holds: (from: S, to: S, action: string) => boolean }[];
  /** From every state a good one must be reachable by steps alone. */
  good: { name: string; holds: (state: S) => boolean };
}

export interface Violation<S> {
  /** Name of what does not hold. */
  rule: string;
  /** Names of the actions from the start to the violation, as few as can be. */
  trace: string[];
  state: S;
}

export interface Report<S> {
  states: number;
  moves: number;
  /** Moves in the longest of the shortest ways to a state. */
  depth: number;
  /** Names of the actions that happened. */
  happened: Set<string>;
  violation?: Violation<S>;
}

/** Pairs of numbers, as many as come. */
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
  readonly #good: boolean[] = [];
  readonly #happened = new Set<string>();
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
      happened: this.#happened,
    };
    return violation ? { ...report, violation } : report;
  }

  /** Where a state is kept; a new one is looked at later. */
  #keep(state: S, parent: number, by: string): number {
    const key = this.#model.key(state);
    const known = this.#index.get(key);
    if (known !== undefined) return known;
    const at = this.#found.length;
    if (at === this.#statesMax) throw new RangeError(`explored ${at} states: wanted a model with fewer`);
    this.#index.set(key, at);
    this.#found.push(state);
    this.#parent.push(parent);
    this.#by.push(by);
    this.#depth.push(parent < 0 ? 0 : this.#depth[parent]! + 1);
    this.#good.push(this.#model.good.holds(state));
    return at;
  }

  #explore(): Violation<S> | undefined {
    this.#keep(this.#model.start, -1, "");
    for (let at = 0; at < this.#found.length; at++) {
      const state = this.#found[at]!;
      for (const { name, kind, next } of this.#model.actions) {
        for (const to of next(state)) {
          this.#moves++;
          this.#happened.add(name);
          const known = this.#found.length;
          const kept = this.#keep(to, at, name);
          if (kind === "step" && kept !== at) this.#steps.push(at, kept);
          const broken = this.#model.moves.find(({ holds }) => !holds(state, to, name)) ??
            (kept < known ? undefined : this.#model.states.find(({ holds }) => !holds(to)));
          if (broken) return { rule: broken.name, trace: [...this.#trace(at), name], state: to };
        }
      }
    }
  }

  #trace(at: number): string[] {
    const names: string[] = [];
    for (let i = at; i > 0; i = this.#parent[i]!) names.unshift(this.#by[i]!);
    return names;
  }

  /** Goes backwards over steps from the good states; what is not met is stuck. */
  #findStuck(): Violation<S> | undefined {
    const count = this.#found.length;
    const first = new Int32Array(count + 1);
    for (let i = 0; i < this.#steps.length; i++) first[this.#steps.to(i) + 1]!++;
    for (let i = 0; i < count; i++) first[i + 1]! += first[i]!;
    const fill = first.slice();
    const before = new Int32Array(this.#steps.length);
    for (let i = 0; i < this.#steps.length; i++) before[fill[this.#steps.to(i)]!++] = this.#steps.from(i);
    const reached = Uint8Array.from(this.#good, Number);
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
    return { rule: this.#model.good.name, trace: this.#trace(stuck), state: this.#found[stuck]! };
  }
}

/**
 * Explores a model until something does not hold or every state was seen.
 *
 * @throws RangeError for more than `statesMax` states
 */
export function check<S>(model: Model<S>, { statesMax = 1_000_000 } = {}): Report<S> {
  return new Search(model, statesMax).run();
}
