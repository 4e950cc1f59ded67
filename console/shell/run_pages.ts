/** The pages of runs, loaded together: they share most of their code. */
import { startOutbox } from "../judge/outbox.ts";
import { PairsPage } from "../pages/pairs/page.tsx";
import { RatePage } from "../pages/rate/page.tsx";
import { ComparePage, ResultsPage } from "../pages/results/page.tsx";
import { RunPage } from "../pages/run/page.tsx";

export const runPages = {
  matrix: RunPage,
  rate: RatePage,
  pairs: PairsPage,
  results: ResultsPage,
  compare: ComparePage,
};

/** Sends the entries that an earlier page has left. */
export const sendUnsent = startOutbox;
