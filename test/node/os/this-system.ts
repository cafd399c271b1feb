/** The operating system for tests that need one, and how tests without one are called. */
import { readdirSync } from 'node:fs';
import { type OperatingSystem, operatingSystem } from '../../../node/os/operating-system.ts';

const found = operatingSystem();
const missing = 'unavailable' in found ? found.unavailable : undefined;

export const isMissing = missing !== undefined;
/** To be appended to the name of a group of tests. */
export const whyMissing = missing === undefined ? '' : ` [left out: ${missing}]`;

/** Only where `isMissing` is false. */
export function thisSystem(): OperatingSystem {
  if ('unavailable' in found) throw new Error(found.unavailable);
  return found;
}

/** Descriptors that this process has open. */
export function openDescriptors(): number {
  return readdirSync('/proc/self/fd').length;
}
