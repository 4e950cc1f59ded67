/** The limits of a slot override, which the worker's command line and v2 share. */

/** Maximum slots. */
export const overrideSlotsMax = 10_000;

/** Maximum length of the reason, in UTF-16 units. */
export const overrideReasonLengthMax = 200;
