/** Text files that a command writes when its work is done, checked before it begins. */
import { writeFileSync } from 'node:fs';
import { HlsimError, messageOf } from '../common/errors.ts';
import { expectWritable } from './json-file.ts';

/**
 * What writes the file that `--flag` names; undefined if none is named.
 *
 * @throws HlsimError `HLSIM_USAGE` if it could not be written; later, `HLSIM_CONFIG` if it could not after all
 */
export function textFile(
  flag: string,
  path: string | undefined,
): ((content: string) => void) | undefined {
  if (path === undefined) return undefined;
  const absolute = expectWritable(flag, path);
  return (content) => {
    try {
      writeFileSync(absolute, content);
    } catch (cause) {
      throw new HlsimError(
        'HLSIM_CONFIG',
        `Expected to write the file of --${flag}, ${JSON.stringify(path)}, but found: ${messageOf(cause)}; name another file`,
        { cause },
      );
    }
  };
}
