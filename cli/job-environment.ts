/** Variables of this shell that are meant for HCCL on every rank of a job, and reach it only through the job. */
import { environmentVariable } from '../common/environment.ts';
import { FLUSH_VARIABLE } from '../node/hccl/flush.ts';
import {
  ALGORITHM_VARIABLE,
  CHANNELS_VARIABLE,
  callSettings,
  PROGRESS_VARIABLE,
  PROVIDER_VARIABLE,
  SLICE_BYTES_VARIABLE,
  STRICT_VARIABLE,
  TUNING_VARIABLE,
} from '../node/hccl/settings.ts';
import { readTuningTable } from './tuning-table-file.ts';

/** Names a tuning table's file, as `hlsim bench --tuning` does. */
export const TUNING_FILE_VARIABLE = 'HLSIM_TUNING_FILE';

const HCCL_VARIABLES = [
  ALGORITHM_VARIABLE,
  CHANNELS_VARIABLE,
  SLICE_BYTES_VARIABLE,
  TUNING_VARIABLE,
  STRICT_VARIABLE,
  FLUSH_VARIABLE,
  PROVIDER_VARIABLE,
  PROGRESS_VARIABLE,
] as const;

/**
 * Those that are set, and the table of `HLSIM_TUNING_FILE` in `HLSIM_TUNING`.
 *
 * @throws HlsimError `HLSIM_USAGE` or `HLSIM_CONFIG` for a value that means nothing, or what reading the table says
 */
export async function jobEnvironment(): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const name of HCCL_VARIABLES) {
    const value = environmentVariable(name);
    if (value !== undefined) environment[name] = value;
  }
  const path = environmentVariable(TUNING_FILE_VARIABLE);
  if (path !== undefined && environment[TUNING_VARIABLE] === undefined) {
    environment[TUNING_VARIABLE] = JSON.stringify(await readTuningTable(path));
  }
  // Told before any process starts, and not by each rank.
  callSettings(environment);
  return environment;
}
