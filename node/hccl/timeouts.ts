/** How long the calls of a communicator may take. */

/** How long one collective may take before it is declared stuck (HCL's operation timeout). */
export const COLLECTIVE_TIMEOUT_MS = 120_000;
/** How long a leaving rank waits until its peers have its goodbye. */
export const GOODBYE_MS = 500;
