/** Links of a limited rate, as far as this machine gives them. */
import { createRequire } from 'node:module';
import process from 'node:process';
import { messageOf } from '../../common/errors.ts';

/** Tells a host the rate of its links, in bytes per second. */
export const PACING_VARIABLE = 'HLSIM_BENCH_PACING';

/** What a host's process is started with so that its connections have that rate. */
export function pacedEnvironment(bytesPerSecond: number): Record<string, string> {
  const preload = new URL('paced-sockets.js', import.meta.url).href;
  return { NODE_OPTIONS: `--import=${preload}`, [PACING_VARIABLE]: String(bytesPerSecond) };
}

/** Why links cannot be limited here, for people; `undefined`: they can. */
export function pacingUnavailable(): string | undefined {
  if (process.platform !== 'linux') return 'the option SO_MAX_PACING_RATE is of Linux';
  try {
    createRequire(import.meta.url)('koffi');
    return undefined;
  } catch (reason) {
    return `the optional package koffi cannot be loaded (${messageOf(reason)})`;
  }
}
