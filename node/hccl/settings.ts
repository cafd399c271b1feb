/** Settings that HCCL reads from the environment of the job, once per communicator. */
import { ALGORITHMS } from '../../collectives/algorithms.ts';
import type { TuningTable } from '../../collectives/tuner.ts';
import { parseTuningTable } from '../../collectives/tuning-table.ts';
import { HlsimError } from '../../common/errors.ts';
import { LANES_MAX, SLICE_BYTES_MAX } from './lanes.ts';

/** Overrides the choice of algorithm, for the collectives that it does. */
export const ALGORITHM_VARIABLE = 'HLSIM_ALGORITHM';
export const CHANNELS_VARIABLE = 'HLSIM_CHANNELS';
export const SLICE_BYTES_VARIABLE = 'HLSIM_SLICE_BYTES';
/** A tuning table as JSON. */
export const TUNING_VARIABLE = 'HLSIM_TUNING';
/** `1`: only what the real HCCL accepts is accepted; `0`: whatever hlsim has. */
export const STRICT_VARIABLE = 'HCCL_STRICT';

/** libfabric's own variable: which provider moves the bytes. Unset: the best that all ranks have. */
export const PROVIDER_VARIABLE = 'FI_PROVIDER';
export const PROVIDERS = ['auto', 'ws', 'p2p'] as const;
export type ProviderChoice = (typeof PROVIDERS)[number];

/**
 * Who moves the bytes of collectives over `ws`, as the progress models of libfabric (fi_domain(3)): `manual`, the
 * program's own thread in its calls; `auto`, its host's thread while the program goes on.
 */
export const PROGRESS_VARIABLE = 'HLSIM_PROGRESS';
export const PROGRESS_MODES = ['manual', 'auto'] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

export interface CallSettings {
  readonly algorithm: string | undefined;
  readonly channels: number | undefined;
  readonly sliceBytes: number | undefined;
  /** The job's own table, before the built-in one. */
  readonly tuning: TuningTable | undefined;
  readonly strict: boolean;
  readonly provider: ProviderChoice;
  readonly progress: ProgressMode;
}

/** Throws `HlsimError` HLSIM_CONFIG for a value that means nothing. */
export function callSettings(environment: Readonly<Record<string, string>>): CallSettings {
  const text = (name: string) => environment[name] || undefined;
  const algorithm = text(ALGORITHM_VARIABLE);
  if (algorithm !== undefined) expectAlgorithm(algorithm);
  return {
    algorithm,
    channels: integer(CHANNELS_VARIABLE, text(CHANNELS_VARIABLE), LANES_MAX),
    sliceBytes: integer(SLICE_BYTES_VARIABLE, text(SLICE_BYTES_VARIABLE), SLICE_BYTES_MAX),
    tuning: tuningTable(text(TUNING_VARIABLE)),
    strict: onOff(STRICT_VARIABLE, text(STRICT_VARIABLE)),
    provider: oneOf(PROVIDER_VARIABLE, PROVIDERS, text(PROVIDER_VARIABLE) ?? 'auto'),
    progress: oneOf(PROGRESS_VARIABLE, PROGRESS_MODES, text(PROGRESS_VARIABLE) ?? 'manual'),
  };
}

/** The name of an algorithm without its parts: `hierarchical` of `hierarchical(direct,ring)`. */
export function baseName(algorithm: string): string {
  return algorithm.split('(')[0] ?? algorithm;
}

/** Throws `HlsimError` HLSIM_USAGE for a name that no algorithm has. */
export function expectAlgorithm(algorithm: string): void {
  const names = [...new Set(ALGORITHMS.map(({ name }) => name))];
  if (names.includes(baseName(algorithm))) return;
  throw new HlsimError(
    'HLSIM_USAGE',
    `Expected an algorithm of ${names.join(', ')} but found ${algorithm}`,
    { fields: { algorithm } },
  );
}

function tuningTable(json: string | undefined): TuningTable | undefined {
  if (json === undefined) return undefined;
  try {
    return parseTuningTable(JSON.parse(json));
  } catch (cause) {
    if (!(cause instanceof SyntaxError)) throw cause;
    const message = `Expected ${TUNING_VARIABLE} to be a tuning table in JSON but found: ${cause.message}`;
    throw new HlsimError('HLSIM_CONFIG', message, { cause });
  }
}

function oneOf<T extends string>(name: string, choices: readonly T[], text: string): T {
  const found = choices.find((choice) => choice === text);
  if (found !== undefined) return found;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected ${name} to be one of ${choices.join(', ')} but found ${text}`,
  );
}

function onOff(name: string, text: string | undefined): boolean {
  if (text === undefined || text === '0') return false;
  if (text === '1') return true;
  throw new HlsimError('HLSIM_CONFIG', `Expected ${name} to be 0 or 1 but found ${text}`);
}

function integer(name: string, text: string | undefined, most: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 1 && value <= most) return value;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected ${name} to be an integer from 1 to ${most} but found ${text}`,
  );
}
