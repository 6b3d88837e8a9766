/**
 * What a list of events says, in English.
 *
 * @module
 */

export const LOG_WORDS = Object.freeze({
  events: "Events",
  noEvents: "No events yet",
  gap: "Events are missing here: they are no longer kept.",
  copied: "Copied",
});
