/** Files of results. */
import { writeFileSync } from 'node:fs';
import { HlsimError, messageOf } from '../common/errors.ts';

/** @throws HlsimError `HLSIM_CONFIG` if the system does not take it, a full disk for one */
export function writeResult(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new HlsimError(
      'HLSIM_CONFIG',
      `Expected to write results to ${JSON.stringify(path)} but found: ${messageOf(cause)}; name another file`,
      { cause },
    );
  }
}
