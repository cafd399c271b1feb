/** After this time a host that was told to stop (`freezeHost`) stands still. */
export const FROZEN_AFTER_MS = 60;
