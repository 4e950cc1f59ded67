/** The texts of the page Runs. */
import { Texts } from "../../text/texts.ts";

export const runsTexts = new Texts({
  en: () => import("../../text/en/runs.ts"),
  zh: () => import("../../text/zh/runs.ts"),
});
