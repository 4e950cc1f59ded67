/** The pages on which people judge, loaded together: they share most of their code. */
import { PairsPage } from "../pages/pairs/page.tsx";
import { RatePage } from "../pages/rate/page.tsx";
import { startOutbox } from "../judge/outbox.ts";

export const judgePages = { rate: RatePage, pairs: PairsPage };

/** Sends what an earlier page has left. */
export const sendUnsent = startOutbox;
