/**
 * Times of the queue that depend on each other, in milliseconds. `tests/queue/times_test.ts` asserts each
 * relation that a comment here states.
 */

/** Interval of a worker's heartbeats. */
export const heartbeatMs = 1_000;

/**
 * Interval at which a worker also divides the slots anew and compares its attempts with the rows: every second
 * heartbeat, since both read more than one row.
 */
export const checkMs = 2_000;

/**
 * Age of the last heartbeat from which a worker starts nothing. Two heartbeats fit into it, so that a single
 * late one stops nothing.
 */
export const startWithinMs = 2_000;

/**
 * Age of the last heartbeat from which a worker sends no POST. It is longer than `startWithinMs`, so that a
 * claim has time for its POST. It is shorter than `takeOverAfterMs`: when the slots of a worker go to others,
 * each of its POSTs belongs to a cell that is counted then. A POST has the time until `deadAfterMs` for its
 * way, its answer, and the write of the job's id.
 */
export const postHeartbeatMsMax = 2_500;

/**
 * Age of the last heartbeat from which others take over the jobs of a worker whose ids are saved, and its free
 * slots. It costs nothing if the worker lives: the next one polls the same job.
 */
export const takeOverAfterMs = 3_000;

/**
 * Maximum time from the write that allows a POST (a claim, or the start of a further attempt) to the POST
 * itself. It is shorter than `deadAfterMs`, the silence after which others take over subtasks whose POST may
 * be under way.
 */
export const postWithinMs = 4_000;

/**
 * Maximum wait for the answer to a claim. After `postWithinMs` the POST that it allows must not be sent any
 * more.
 */
export const claimAnswerMsMax = 4_000;

/**
 * Age of the last heartbeat from which a worker counts as dead, and others take over the rest of its subtasks:
 * those whose POST may be under way, which would be paid for again. A worker that is only slow has the time
 * from `postHeartbeatMsMax` until here to save the ids of its jobs.
 */
export const deadAfterMs = 6_000;

/** Maximum interval of the leader's duties, and interval at which the other workers try to lead. */
export const dutiesMs = 1_000;

/** Interval at which the leader renews its lease. */
export const renewMs = 500;

/**
 * Life of the leader lease. Two renewals fit into it, so that a single late one costs nothing. With the time
 * until another worker tries to lead, it is shorter than `takeOverAfterMs`: the fleet has a new leader before
 * it must take the jobs of the old one over.
 */
export const leaderLeaseMs = 1_500;

/** Maximum length of an attempt, from its POST to its result. */
export const attemptMsMax = 5 * 60_000;

/**
 * Age of an attempt from which the leader takes it from its worker. The worker itself ends it at
 * `attemptMsMax`.
 */
export const overdueMs = 6 * 60_000;

/**
 * On shutdown: maximum wait for the answer to a claim under way, which must be known before the hand-over.
 */
export const stopClaimMs = 500;

/** On shutdown: maximum wait for POSTs under way. A job whose id is known can be taken over. */
export const stopPostMs = 1_900;

/**
 * Maximum length of a shutdown, with both waits above and the final writes. What PostgreSQL has not confirmed
 * by then, the leader finds when the worker counts as dead.
 */
export const stopMs = 2_800;

/** Maximum length of a shutdown that the worker promises to its supervisor. */
export const stopMsPromised = 3_000;

/**
 * Idle time from which another worker takes over messages that were read and never claimed. It is longer than
 * a claim may take.
 */
export const messageIdleMs = 10_000;

/** Interval at which each worker looks for such messages over TCP. */
export const messageSweepMs = 5_000;

/**
 * Idle time from which the doctor reports such a message: the workers had an idle time and a sweep for it.
 */
export const messageLostMs = 15_000;

/** Time after which the feed writes a subtask again that is still pending. */
export const refeedMs = 15_000;

/**
 * Maximum time that a puller keeps subtasks for which it has no slot. Later, the feed has written them again.
 */
export const stockMsMax = 15_000;

/** Time by which a due notice is late, so that the doctor reports it. */
export const noticeLateMs = 5 * 60_000;

/** Time between the two looks of the doctor. A fault that only the first finds passes by itself. */
export const doctorSettleMs = 2_500;
