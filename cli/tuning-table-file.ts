/** Tuning tables on disk. */
import { readFile, stat } from 'node:fs/promises';
import type { TuningTable } from '../collectives/tuner.ts';
import { readTuningFile, TUNING_FILE_BYTES_MAX } from '../collectives/tuning-file.ts';
import { HlsimError, messageOf } from '../common/errors.ts';

/** @throws HlsimError `HLSIM_PROGRAM_UNREADABLE` for no file, `HLSIM_CONFIG` for what is no table */
export async function readTuningTable(path: string): Promise<TuningTable> {
  try {
    const { size } = await stat(path);
    const text = size > TUNING_FILE_BYTES_MAX ? '' : await readFile(path, 'utf8');
    if (size <= TUNING_FILE_BYTES_MAX) return readTuningFile(text);
  } catch (cause) {
    if (cause instanceof HlsimError) throw cause;
    throw new HlsimError(
      'HLSIM_PROGRAM_UNREADABLE',
      `Expected a tuning table that can be read at ${JSON.stringify(path)} but found: ${messageOf(cause)}`,
      { cause },
    );
  }
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected a tuning table of at most ${TUNING_FILE_BYTES_MAX} bytes but found more in ${JSON.stringify(path)}`,
  );
}
