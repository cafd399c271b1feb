/** Shows a case as it is predicted: rows as they come, and on long runs what is going on. */
import type { Clock } from '../common/clock.ts';
import type { CaseObserver } from './predict-run.ts';
import { networkHeader, rowLine } from './predict-table.ts';
import type { Terminal } from './terminal.ts';

/** A prediction that takes no longer needs no progress. */
const QUIET_MS = 500;
/** Between two texts: more often nobody reads. */
const INTERVAL_MS = 100;

/** `tell` is given every line of the table. */
export function caseObserver(
  terminal: Terminal,
  clock: Clock,
  tell: (line: string) => void,
): CaseObserver {
  let nextMs = clock.now() + QUIET_MS;
  return {
    network: (network, settings) => tell(networkHeader(network, settings)),
    rows(rows, settings) {
      for (const row of rows) tell(rowLine(row, settings));
    },
    progress(what, done) {
      const now = clock.now();
      if (now < nextMs) return;
      nextMs = now + INTERVAL_MS;
      terminal.progress(
        `Predicting: ${done === 0 ? what : `${what}: ${Math.floor(100 * done)} %`}`,
      );
    },
  };
}
