/** The pages of one run, which are loaded together. */
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
