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

export interface CallSettings {
  readonly algorithm: string | undefined;
  readonly channels: number | undefined;
  readonly sliceBytes: number | undefined;
  /** The job's own table, before the built-in one. */
  readonly tuning: TuningTable | undefined;
  readonly strict: boolean;
  readonly provider: ProviderChoice;
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
    provider: providerOf(text(PROVIDER_VARIABLE)),
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

function providerOf(text = 'auto'): ProviderChoice {
  const found = PROVIDERS.find((name) => name === text);
  if (found !== undefined) return found;
  throw new HlsimError(
    'HLSIM_CONFIG',
    `Expected ${PROVIDER_VARIABLE} to be one of ${PROVIDERS.join(', ')} but found ${text}`,
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
